import { existsSync } from 'node:fs'
import { databaseFaults } from './faults/database.ts'
import { exhaustionFaults } from './faults/exhaustion.ts'
import { limiterFaults } from './faults/limiter.ts'
import { networkFaults } from './faults/network.ts'
import { processFaults } from './faults/processes.ts'
import { reminderFaults } from './faults/reminders.ts'
import { startFaults } from './faults/starts.ts'
import { streamFaults } from './faults/streams.ts'
import { binary } from './instance.ts'
import { stopAll } from './processes.ts'
import { createTotals, formatTable, hasPassed, type Totals } from './report.ts'
import { startPgBouncer, startPostgres, startRedis } from './servers.ts'
import type { Fault, Stage } from './stage.ts'

/**
 * Injects faults around the binary under load. `CHAOS=short` runs two or three rounds of each. `CHAOS_ONLY=text` (or
 * several texts, separated by commas) selects faults by name. `CHAOS_MINUTES` is the duration of the load for the slope
 * of the memory.
 */
const faults: Fault[] = [
  ...databaseFaults,
  ...networkFaults,
  ...processFaults,
  ...startFaults,
  ...limiterFaults,
  ...exhaustionFaults,
  ...streamFaults,
  ...reminderFaults,
]

const full = process.env.CHAOS !== 'short'
const only = process.env.CHAOS_ONLY ?? ''
const from = performance.now()
const allTotals: Totals[] = []

/** What this machine lacks, in one line. */
const findMissing = (): string | undefined => {
  if (!existsSync(binary)) return `there is no ${binary}: run bun run build, or set TEST_BINARY`
  const programs = ['redis-server', 'pgbouncer'].filter((name) => Bun.which(name) === null)
  return programs.length > 0 ? `this needs ${programs.join(' and ')}` : undefined
}

const tryAll = async () => {
  const postgres = await startPostgres()
  const stage: Stage = {
    full,
    minutes: Number(process.env.CHAOS_MINUTES ?? 5),
    postgres,
    redis: await startRedis(),
    pgbouncer: await startPgBouncer(postgres),
  }

  const chosen = faults.filter(({ name }) => only.split(',').some((part) => name.includes(part)))
  const atOnce = chosen.filter(({ waits }) => waits && !full)
  await Promise.all(atOnce.map((fault) => tried(fault, stage)))
  for (const fault of chosen) if (!atOnce.includes(fault)) await tried(fault, stage)
}

/** Returns the exit code. */
const report = (): number => {
  console.log(`\n${formatTable(allTotals)}\n`)
  const right = allTotals.filter(hasPassed).length
  const seconds = ((performance.now() - from) / 1000).toFixed(0)
  console.log(`\n${full ? 'full' : 'short'} form, ${seconds} s`)
  // In the format of `bun test`, so that the gate counts both in one way.
  console.log(` ${right} pass\n ${allTotals.length - right} fail`)
  return right === allTotals.length && right > 0 ? 0 : 1
}

const tried = async ({ name, run }: Fault, stage: Stage) => {
  const totals = createTotals(name)
  allTotals.push(totals)
  const from = performance.now()
  await run(stage, totals).catch((error) => totals.fail(String(error?.stack ?? error)))
  const seconds = ((performance.now() - from) / 1000).toFixed(1)
  const verdict = hasPassed(totals) ? 'pass' : 'FAIL'
  console.log([`${verdict} ${name}, ${seconds} s`, ...totals.facts].join('; '))
  for (const note of totals.notes) console.log(`     ${note}`)
}

const leave = async (code: number) => {
  await stopAll()
  process.exit(code)
}
/** Prints the results so far. */
const interrupted = (code: number) => {
  report()
  void leave(code)
}
process.on('SIGINT', () => interrupted(130))
process.on('SIGTERM', () => interrupted(143))

const missing = findMissing()
if (missing !== undefined) {
  console.error(`test:chaos: ${missing}`)
  process.exit(1)
}
let code = 1
try {
  await tryAll()
  code = report()
} catch (error) {
  console.error(error)
}
await leave(code)
