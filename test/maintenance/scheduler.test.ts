import { expect, test } from 'bun:test'
import { createLog } from '../../src/log.ts'
import { hourlySchedule, schedule } from '../../src/maintenance/scheduler.ts'

const soon = { firstMaxMs: 1, everyMs: 1 }

/** The first `count` lines that the log is told. Then the work never ends, and nothing goes on behind other tests. */
const told = (work: () => Promise<object>, count: number) => {
  const { promise, resolve } = Promise.withResolvers<object[]>()
  const lines: object[] = []
  const write = (line: string) => {
    lines.push(JSON.parse(line))
    if (lines.length === count) resolve(lines)
  }
  const atMost = () => (lines.length < count ? work() : new Promise<never>(() => {}))
  schedule(atMost, createLog(write, 'info'), soon)
  return promise
}

test('the upkeep is done again and again, and told each time', async () => {
  let times = 0
  const work = async () => {
    times += 1
    return { erased_tasks: times }
  }

  const lines = await told(work, 3)

  expect(lines).toMatchObject([1, 2, 3].map((n) => ({ event: 'upkeep', erased_tasks: n })))
})

test('an upkeep that fails is told, and the next one comes', async () => {
  let times = 0
  const work = async () => {
    times += 1
    if (times === 1) throw new Error('no database')
    return {}
  }

  const lines = await told(work, 2)

  expect(lines).toMatchObject([{ event: 'upkeep failed', level: 'warn' }, { event: 'upkeep' }])
})

test('an instance that lives for minutes has done its upkeep', () => {
  expect(hourlySchedule.firstMaxMs).toBeLessThanOrEqual(60_000)
  expect(hourlySchedule.everyMs).toBe(3_600_000)
})
