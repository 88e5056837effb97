import { type Random, randomOf } from '../support/walk-pages.ts'

const shared = globalThis as typeof globalThis & { attackSeed?: number }
const given = process.env.SEED ?? ''
if (!/^\d{0,10}$/.test(given)) throw new Error('SEED is not a whole number')

/** The seed of all families of a run; `SEED` repeats a run. */
shared.attackSeed ??= given === '' ? Math.floor(Math.random() * 2 ** 32) : Number(given)
export const seed = shared.attackSeed

export const isLarge = process.env.FUZZ === '1'

/** The number of cases: few in the gate, many with `FUZZ`. */
export const budget = (few: number, many: number) => (isLarge ? many : few)

/** `CASE` runs one case of a seed alone. */
const alone = process.env.CASE === undefined ? undefined : Number(process.env.CASE)

const settings = `SEED=${seed}${isLarge ? ' FUZZ=1' : ''}`
/** The command that repeats the whole run. */
export const againAll = `${settings} bun run test:attack`
/** The command that repeats one case of a file, or all of the file. */
export const again = (file: string, at?: number) =>
  `${settings}${at === undefined ? '' : ` CASE=${at}`} bun test --timeout 3600000 test/attack/${file}.test.ts`

/**
 * Runs cases, several at once. The random numbers of a case depend on the seed and its index only.
 */
export const eachCase = async (
  family: string,
  count: number,
  lanes: number,
  run: (random: Random, at: number, lane: number) => Promise<void>,
) => {
  const own = Bun.hash.crc32(family)
  let next = 0
  const walk = async (lane: number) => {
    while (next < count) {
      const at = next++
      if (alone === undefined || at === alone)
        await run(randomOf((seed ^ own) + Math.imul(at, 0x9e3779b1)), at, lane)
      // Requests within one process are microtasks: timers and sockets need a turn too.
      if (at % 16 === 0) await Bun.sleep(0)
    }
  }
  await Promise.all(Array.from({ length: lanes }, (_, lane) => walk(lane)))
}
