import { expect, test } from 'bun:test'
import { createLog } from '../../src/log.ts'
import { createScheduler, hourlySchedule } from '../../src/maintenance/scheduler.ts'

const immediately = { firstMaxMs: 1, everyMs: 1 }

/** The first `count` log lines. Then `work` never settles, so that nothing runs during other tests. */
const logLines = (work: () => Promise<object>, count: number) => {
  const { promise, resolve } = Promise.withResolvers<object[]>()
  const lines: object[] = []
  const write = (line: string) => {
    lines.push(JSON.parse(line))
    if (lines.length === count) resolve(lines)
  }
  const limited = () => (lines.length < count ? work() : new Promise<never>(() => {}))
  createScheduler(createLog(write, 'info'), immediately).start(limited)
  return promise
}

test('the work runs repeatedly, and each run is logged', async () => {
  let runs = 0
  const work = async () => {
    runs += 1
    return { erased_tasks: runs }
  }

  const lines = await logLines(work, 3)

  expect(lines).toMatchObject([1, 2, 3].map((n) => ({ event: 'maintenance', erased_tasks: n })))
})

test('a failed run is logged, and the next run follows', async () => {
  let runs = 0
  const work = async () => {
    runs += 1
    if (runs === 1) throw new Error('no database')
    return {}
  }

  const lines = await logLines(work, 2)

  expect(lines).toMatchObject([
    { event: 'maintenance failed', level: 'warn' },
    { event: 'maintenance' },
  ])
})

test('the first run is within a minute of the start, then one per hour', () => {
  expect(hourlySchedule.firstMaxMs).toBeLessThanOrEqual(60_000)
  expect(hourlySchedule.everyMs).toBe(3_600_000)
})
