import { type Random, randomOf } from '../support/walk-pages.ts'

const shared = globalThis as typeof globalThis & { attackSeed?: number }
const given = process.env.SEED ?? ''
if (!/^\d{0,10}$/.test(given)) throw new Error('SEED is not a whole number')

/** Of every family of a run; `SEED` repeats one. */
shared.attackSeed ??= given === '' ? Math.floor(Math.random() * 2 ** 32) : Number(given)
export const seed = shared.attackSeed

export const isLarge = process.env.FUZZ === '1'

/** How many cases: few where every change is checked, many where somebody has the time. */
export const budget = (few: number, many: number) => (isLarge ? many : few)

/** `CASE` repeats one case of a seed alone. */
const alone = process.env.CASE === undefined ? undefined : Number(process.env.CASE)

const settings = `SEED=${seed}${isLarge ? ' FUZZ=1' : ''}`
/** How the whole run is repeated. */
export const againAll = `${settings} bun run test:attack`
/** How one case of one file is seen again, or all of the file. */
export const again = (file: string, at?: number) =>
  `${settings}${at === undefined ? '' : ` CASE=${at}`} bun test --timeout 3600000 test/attack/${file}.test.ts`

/**
 * Runs cases, some at once. Each has numbers of its own, by its place: whatever the others do,
 * and however many there are, case 17 of a seed is the same.
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
      // In one process requests are microtasks: timers and sockets are to get their turn as well.
      if (at % 16 === 0) await Bun.sleep(0)
    }
  }
  await Promise.all(Array.from({ length: lanes }, (_, lane) => walk(lane)))
}
