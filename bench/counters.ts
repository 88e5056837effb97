/**
 * `bun run bench:counters`: the cost of counting one request, by store. PostgreSQL is measured if `TEST_DATABASE_URL`
 * is set, Redis if redis-server is installed.
 */
import type { RateLimitStore } from '../src/rate-limit/store.ts'
import { stores } from '../test/support/rate-limit-stores.ts'

const hourMs = 3_600_000
const users = 1000
const secondsMin = 3

/** Microseconds per `add`, measured until the result is stable. */
const timesOf = async (store: RateLimitStore, atOnce: number, keyOf: (n: number) => string) => {
  const times: number[] = []
  const endsAt = performance.now() + secondsMin * 1000
  let n = 0
  const work = async () => {
    while (performance.now() < endsAt) {
      const before = performance.now()
      await store.add(keyOf(n++), hourMs, 100)
      times.push((performance.now() - before) * 1000)
      // The memory store answers at once: the other requests of this batch need a turn.
      if (n % 1000 === 0) await Bun.sleep(0)
    }
  }
  await Promise.all(Array.from({ length: atOnce }, work))
  return times.sort((a, b) => a - b)
}

// PGlite is for tests: the service does not count in it.
const { 'postgres, embedded': _, ...measured } = stores

const rows = []
for (const [name, open] of Object.entries(measured)) {
  const store = (await open()).open()
  for (const [keys, keyOf] of [
    [`${users} users`, (n: number) => `user:${n % users}`],
    ['one user', () => 'user:one'],
  ] as const)
    for (const atOnce of [1, 32]) {
      const times = await timesOf(store, atOnce, keyOf)
      const at = (share: number) =>
        Math.round((times[Math.floor(times.length * share)] ?? 0) * 10) / 10
      const perSecond = Math.round(times.length / secondsMin)
      rows.push({
        store: name,
        keys,
        'at once': atOnce,
        'p50 µs': at(0.5),
        'p95 µs': at(0.95),
        'p99 µs': at(0.99),
        'adds/s': perSecond,
      })
    }
}
console.table(rows)
process.exit(0)
