import { expect, test } from 'bun:test'
import { DatabaseUnavailable } from '../../src/db/errors.ts'
import { createLog, type LogFields } from '../../src/log.ts'
import { createReminderJob } from '../../src/tasks/reminders/job.ts'
import type { Due, Upcoming } from '../../src/tasks/reminders/repository.ts'

const none: Upcoming = { due: [], nextAt: undefined }
const due = (...users: string[]): Due[] => users.map((userId) => ({ userId, ids: [userId] }))

/** A job without a database. `upcoming` has the answers in their order; the last one is repeated. */
const jobWith = (
  upcoming: (Upcoming | Error)[],
  deliver: (userId: string) => Promise<{ delivered: number; isMailed: boolean }> = async () => ({
    delivered: 1,
    isMailed: false,
  }),
) => {
  const log: LogFields[] = []
  const called = { reads: 0, published: [] as string[], mails: 0 }
  const job = createReminderJob({
    reminders: {
      upcoming: async () => {
        const answer = upcoming[Math.min(called.reads++, upcoming.length - 1)] ?? none
        if (answer instanceof Error) throw answer
        return answer
      },
      deliver: async (userId, ids) => ({ ...(await deliver(userId)), tasks: ids.length }),
    },
    notifications: { publish: (userId) => void called.published.push(userId) },
    onMail: () => void called.mails++,
    log: createLog((line) => log.push(JSON.parse(line)), 'debug'),
  })
  return { job, called, events: () => log.map(({ event }) => event) }
}

const reads = async (called: { reads: number }, count: number) => {
  while (called.reads < count) await Bun.sleep(5)
}

test('reminders are delivered at the start, and at the time of the next one', async () => {
  const nextAt = new Date(Date.now() + 150).toISOString()
  const { job, called } = jobWith([
    { due: due('ada'), nextAt },
    { due: due('bob'), nextAt: undefined },
    none,
  ])
  job.start()
  await reads(called, 1)
  await Bun.sleep(20)
  expect([called.reads, called.published]).toEqual([1, ['ada']])
  await reads(called, 2)
  expect(new Date().toISOString() >= nextAt).toBe(true)
  await job.stop()
  expect(called.published).toEqual(['ada', 'bob'])
})

test('all that are due are delivered in one run', async () => {
  const full = {
    due: [{ userId: 'ada', ids: Array.from({ length: 500 }, (_, n) => `${n}`) }],
    nextAt: undefined,
  }
  const { job, called } = jobWith([full, full, { due: due('bob'), nextAt: undefined }])
  await job.flush()
  expect(called.published).toEqual(['ada', 'ada', 'bob'])
})

test('a fault of one user does not keep the reminders of others back', async () => {
  const { job, called, events } = jobWith(
    [{ due: due('ada', 'bob'), nextAt: undefined }],
    async (user) => {
      if (user === 'ada') throw new Error('a bug')
      return { delivered: 2, isMailed: true }
    },
  )
  await job.flush()
  expect([called.published, called.mails]).toEqual([['bob'], 1])
  expect(events()).toEqual(['reminders of a user failed', 'reminders delivered'])
})

test('what is only planned is neither logged nor published', async () => {
  const { job, called, events } = jobWith([{ due: due('ada'), nextAt: undefined }], async () => ({
    delivered: 0,
    isMailed: false,
  }))
  await job.flush()
  expect([called.published, events()]).toEqual([[], []])
})

test('an outage is one line, and ends', async () => {
  const outage = new DatabaseUnavailable('deadline')
  const { job, called, events } = jobWith([outage, outage, { due: due('ada'), nextAt: undefined }])
  await job.flush()
  await job.flush()
  expect(events()).toEqual(['reminders failed'])
  await job.flush()
  expect([called.published, events()]).toEqual([
    ['ada'],
    ['reminders failed', 'reminders delivered'],
  ])
})

test('nothing is started after a stop', async () => {
  const { job, called } = jobWith([{ due: [], nextAt: new Date(Date.now() + 30).toISOString() }])
  job.start()
  await job.stop()
  const before = called.reads
  await Bun.sleep(80)
  expect(called.reads).toBe(before)
})

test('an outage during the delivery is one line too', async () => {
  const { job, called, events } = jobWith(
    [{ due: due('ada', 'bob'), nextAt: undefined }],
    async () => {
      throw new DatabaseUnavailable('deadline')
    },
  )
  await job.flush()
  await job.flush()
  expect([called.published, events()]).toEqual([[], ['reminders failed']])
})
