/**
 * What counting one request costs, by store. `bun run bench:counters`; PostgreSQL is measured where
 * `TEST_DATABASE_URL` names one, Redis where redis-server is installed.
 */
import type { RateLimitStore } from '../src/rate-limit/store.ts'
import { stores } from '../test/support/rate-limit-stores.ts'

const hourMs = 3_600_000
const users = 1000
const secondsMin = 3

/** Microseconds of each add, for as long as it takes to be sure. */
const timesOf = async (store: RateLimitStore, atOnce: number, keyOf: (n: number) => string) => {
  const times: number[] = []
  const endsAt = performance.now() + secondsMin * 1000
  let n = 0
  const work = async () => {
    while (performance.now() < endsAt) {
      const before = performance.now()
      await store.add(keyOf(n++), hourMs, 100)
      times.push((performance.now() - before) * 1000)
      // Memory answers at once: the others of this batch must have their turn.
      if (n % 1000 === 0) await Bun.sleep(0)
    }
  }
  await Promise.all(Array.from({ length: atOnce }, work))
  return times.sort((a, b) => a - b)
}

// PGlite is there for tests: the service does not count in it.
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
