import { afterEach, beforeEach, describe, expect, test } from 'bun:test'
import { and, eq, isNotNull, isNull } from 'drizzle-orm'
import { mailMessages, reminderEvents, tasks, users, webhooks } from '../../src/db/schema.ts'
import { createMemoryStore } from '../../src/rate-limit/memory.ts'
import { createReminderRepository } from '../../src/tasks/reminders/repository.ts'
import { type OpenOptions, openStream } from '../support/event-stream.ts'
import { startReceiver, verified } from '../support/receiver.ts'
import {
  at,
  database,
  pass,
  realTime,
  rowsOf,
  type Service,
  type Someone,
  service,
} from '../support/service.ts'
import { startSmtp } from '../support/smtp.ts'

const [second, minute, hour, day] = [1000, 60_000, 3_600_000, 86_400_000]
const long = { JWT_TTL_SECONDS: '2592000', SESSION_MAX_DAYS: '3650', TRASH_DAYS: '30' }

beforeEach(() => at('2026-08-01T08:00:00Z'))
afterEach(realTime)

const owner = async (env: Record<string, string> = {}) => {
  const here = await service({ ...long, ...env })
  // What other tests have left is delivered first.
  await here.deliverReminders()
  const ada = await here.someone()
  return { here, ada, call: ada.call, add: adderFor(ada), deliver: here.deliverReminders }
}

const adderFor =
  ({ call }: Someone) =>
  async (members: object) => {
    const { status, body } = await call('POST', '/api/tasks', { title: 'x', ...members })
    expect([status, body.errors]).toEqual([201, undefined])
    return body
  }

/** The reminders that were delivered to a user: when each was due, oldest first. */
const deliveredTo = async ({ id }: Someone) => {
  const { db } = await database()
  const { remind_at, task_id, change } = reminderEvents
  const rows = await db
    .select({ remind_at, task_id, change })
    .from(reminderEvents)
    .where(eq(reminderEvents.user_id, id))
    .orderBy(reminderEvents.id)
  return rows
}
const timesOf = async (someone: Someone) =>
  (await deliveredTo(someone)).map(({ remind_at }) => remind_at)

/** The tasks of a user that wait for a reminder, or for the calculation of the next one. */
const waitingIds = async ({ id }: Someone) => {
  const { db } = await database()
  const isWaiting = and(eq(tasks.user_id, id), isNotNull(tasks.remind_at), isNull(tasks.deleted_at))
  return (await db.select({ id: tasks.id }).from(tasks).where(isWaiting)).map((row) => row.id)
}

/** Delivers at each of some times, as the service does while it runs. */
const run = async (here: Service, from: string, to: string, stepMs = 10 * minute) => {
  for (let ms = Date.parse(from); ms <= Date.parse(to); ms += stepMs) {
    at(ms)
    await here.deliverReminders()
  }
}

describe('a reminder', () => {
  test('is delivered at its time, once, to streams and webhooks, and is not in the changes feed', async () => {
    const receiver = startReceiver()
    await (await database()).db.delete(webhooks)
    const { here, ada, call, add, deliver } = await owner({ WEBHOOK_ALLOWED_HOSTS: '127.0.0.1' })
    const { body: webhook } = await call('POST', '/api/webhooks', {
      url: receiver.url,
      events: ['task.reminder'],
    })
    const task = await add({
      due_at: '2026-08-01T10:00:00Z',
      reminders: [{ minutes_before: 30 }, { at: '2026-08-01T11:00:00+02:00' }],
    })
    expect(task.reminders).toEqual([{ minutes_before: 30 }, { at: '2026-08-01T09:00:00.000Z' }])
    const { body: before } = await call('GET', '/api/tasks/changes')
    const stream = await openStream(here.app, { token: ada.token })
    await stream.until(1)

    at('2026-08-01T08:59:59Z')
    await deliver()
    expect(await deliveredTo(ada)).toEqual([])
    at('2026-08-01T09:00:00Z')
    await deliver()
    await deliver()
    await stream.until(2)
    at('2026-08-01T09:30:20Z')
    await deliver()
    await stream.until(3)
    await deliver()
    await here.sendWebhooks()

    const times = ['2026-08-01T09:00:00.000Z', '2026-08-01T09:30:00.000Z']
    expect(await timesOf(ada)).toEqual(times)
    expect(stream.events.slice(1)).toEqual(
      times.map((remind_at) => ({
        id: expect.any(String),
        event: 'reminder',
        data: { remind_at, task },
      })),
    )
    expect(receiver.bodies()).toEqual(
      times.map((timestamp) => ({ type: 'task.reminder', timestamp, data: task })),
    )
    expect(verified(receiver.all[0]!, webhook.secret)).toBeObject()
    const { body: after } = await call('GET', `/api/tasks/changes?since=${before.next}`)
    expect(after.changes).toEqual([])
    expect((await call('GET', `/api/tasks/${task.id}`)).body).toEqual(task)
    expect((await call('GET', `/api/webhooks/${webhook.id}`)).body.pending_since).toBeNull()
    await stream.close()
    receiver.stop()
  })

  test('reaches a client that connects again, in order, unless the task is done by then', async () => {
    const { here, ada, call, add, deliver } = await owner()
    const open = (options: OpenOptions) => openStream(here.app, { token: ada.token, ...options })
    const first = await open({})
    await first.until(1)
    const since = first.lastId()
    await first.close()
    const kept = await add({ reminders: [{ at: '2026-08-01T09:00:00Z' }] })
    const done = await add({ reminders: [{ at: '2026-08-01T09:00:00Z' }] })
    const gone = await add({ reminders: [{ at: '2026-08-01T09:00:00Z' }] })
    at('2026-08-01T09:00:10Z')
    await deliver()
    expect(await deliveredTo(ada)).toHaveLength(3)
    await call('PATCH', `/api/tasks/${done.id}/complete`)
    await call('DELETE', `/api/tasks/${gone.id}`)

    for (const query of ['', '?include=lists']) {
      const again = await open({ query: `${query}${query ? '&' : '?'}since=${since}` })
      if (query !== '') expect(again.code).toBe('sync-expired')
      else {
        await again.until(5)
        expect(again.events.map(({ event }) => event)).toEqual([
          'ready',
          'upsert',
          'reminder',
          'upsert',
          'delete',
        ])
        const position = again.events[2]?.id ?? ''
        const resumed = await open({ lastEventId: position })
        await resumed.until(3)
        expect(resumed.events.map(({ event }) => event)).toEqual(['ready', 'upsert', 'delete'])
        await resumed.close()
      }
      await again.close()
    }
    const withLists = await open({ query: '?include=lists' })
    await withLists.until(1)
    at('2026-08-01T09:10:00Z')
    await call('PATCH', `/api/tasks/${kept.id}`, { reminders: [{ at: '2026-08-01T09:20:00Z' }] })
    at('2026-08-01T09:20:00Z')
    await deliver()
    await withLists.until(3)
    expect(withLists.events.map(({ event }) => event)).toEqual(['ready', 'upsert', 'reminder'])
    await withLists.close()
  })

  test('moves with the due date, also to another day', async () => {
    const { here, ada, call, add } = await owner()
    const task = await add({ due_at: '2026-08-01T10:00:00Z', reminders: [{ minutes_before: 10 }] })
    await here.deliverReminders()
    await call('PATCH', `/api/tasks/${task.id}`, { due_at: '2026-08-01T12:00:00Z' })
    await run(here, '2026-08-01T08:00:00Z', '2026-08-01T11:40:00Z')
    expect(await timesOf(ada)).toEqual([])
    await call('PATCH', `/api/tasks/${task.id}`, { due_at: null, due_on: '2026-08-02' })
    await run(here, '2026-08-01T11:40:00Z', '2026-08-02T12:00:00Z')
    expect(await timesOf(ada)).toEqual(['2026-08-02T08:50:00.000Z'])
  })

  test.each([
    ['2026-08-02', 'UTC', '2026-08-02T09:00:00.000Z'],
    ['2026-08-02', 'Pacific/Auckland', '2026-08-01T21:00:00.000Z'],
    ['2026-08-02', 'Pacific/Pago_Pago', '2026-08-02T20:00:00.000Z'],
    ['2026-08-02', 'Asia/Kathmandu', '2026-08-02T03:15:00.000Z'],
    ['2026-10-25', 'Europe/Berlin', '2026-10-25T08:00:00.000Z'],
    ['2027-03-28', 'Europe/Berlin', '2027-03-28T07:00:00.000Z'],
  ])('of the day %s in %s is at 09:00, %s', async (due_on, time_zone, expected) => {
    const { here, ada, call, add } = await owner()
    await call('PATCH', '/api/auth/me', { time_zone })
    await add({ due_on, reminders: [{ minutes_before: 0 }] })
    await here.deliverReminders()
    at(Date.parse(expected) - 1)
    await here.deliverReminders()
    expect(await timesOf(ada)).toEqual([])
    at(expected)
    await here.deliverReminders()
    expect(await timesOf(ada)).toEqual([expected])
  })

  test('of a day is at 09:00 of the new time zone after the user has changed it', async () => {
    const { here, ada, call, add } = await owner()
    await add({ due_on: '2026-08-03', reminders: [{ minutes_before: 0 }] })
    await add({ due_at: '2026-08-03T09:00:00Z', reminders: [{ minutes_before: 0 }] })
    await here.deliverReminders()
    await call('PATCH', '/api/auth/me', { time_zone: 'Pacific/Auckland' })
    await run(here, '2026-08-01T08:00:00Z', '2026-08-03T12:00:00Z', hour)
    expect(await timesOf(ada)).toEqual(['2026-08-02T21:00:00.000Z', '2026-08-03T09:00:00.000Z'])
  })

  const undone = async ({ call }: Someone, id: string) => {
    await call('PATCH', `/api/tasks/${id}/complete`, { completed: true })
    return call('PATCH', `/api/tasks/${id}/complete`, { completed: false })
  }
  test.each<[string, (ada: Someone, id: string) => Promise<unknown>]>([
    ['completed', ({ call }, id) => call('PATCH', `/api/tasks/${id}/complete`)],
    [
      'completed by a patch',
      ({ call }, id) => call('PATCH', `/api/tasks/${id}`, { completed: true }),
    ],
    [
      'completed by a batch',
      ({ call }, id) => call('POST', '/api/tasks/batch', { complete: [{ id }] }),
    ],
    [
      'completed by an import',
      ({ call }, id) =>
        call('POST', '/api/tasks/import?mode=update', { tasks: [{ id, completed: true }] }),
    ],
    ['in the trash', ({ call }, id) => call('DELETE', `/api/tasks/${id}`)],
    [
      'in the trash by a batch',
      ({ call }, id) => call('POST', '/api/tasks/batch', { delete: [id] }),
    ],
    [
      'erased',
      async ({ call }, id) => {
        await call('DELETE', `/api/tasks/${id}`)
        await call('DELETE', `/api/tasks/trash/${id}`)
      },
    ],
    [
      'without the reminder',
      ({ call }, id) => call('PATCH', `/api/tasks/${id}`, { reminders: [] }),
    ],
    ['replaced', ({ call }, id) => call('PUT', `/api/tasks/${id}`, { title: 'x' })],
  ])('of a task that is %s is not delivered', async (_, change) => {
    const { here, ada, call, add } = await owner()
    const { id } = await add({ reminders: [{ at: '2026-08-01T09:00:00Z' }] })
    const planned = await add({ reminders: [{ at: '2026-08-01T09:00:00Z' }] })
    await here.deliverReminders()
    const fresh = await add({ reminders: [{ at: '2026-08-01T09:00:00Z' }] })
    await change(ada, planned.id)
    await change(ada, fresh.id)
    at('2026-08-01T10:00:00Z')
    await here.deliverReminders()
    expect((await deliveredTo(ada)).map(({ task_id }) => task_id)).toEqual([id])
    expect(await waitingIds(ada)).toEqual([])
    // Not even after the task is as before: its time has passed.
    await call('POST', `/api/tasks/${planned.id}/restore`)
    await here.deliverReminders()
    await undone(ada, planned.id)
    await here.deliverReminders()
    expect(await deliveredTo(ada)).toHaveLength(1)
  })

  test('is delivered after the task was restored, or is no longer completed, in time', async () => {
    const { here, ada, call, add } = await owner()
    const reminders = [{ at: '2026-08-01T09:00:00Z' }]
    const [a, b] = [await add({ reminders }), await add({ reminders })]
    await here.deliverReminders()
    await call('DELETE', `/api/tasks/${a.id}`)
    await here.deliverReminders()
    await call('POST', `/api/tasks/${a.id}/restore`)
    await undone(ada, b.id)
    at('2026-08-01T09:00:30Z')
    await here.deliverReminders()
    expect((await deliveredTo(ada)).map(({ task_id }) => task_id).sort()).toEqual([a.id, b.id])
  })

  test('of a list that is deleted is not delivered for tasks in the trash, and is for those of the inbox', async () => {
    const { here, ada, call, add } = await owner()
    const reminders = [{ at: '2026-08-01T09:00:00Z' }]
    const listed = async (name: string) => (await call('POST', '/api/lists', { name })).body.id
    const [kept, gone] = [await listed('kept'), await listed('gone')]
    const task = await add({ reminders, list_id: kept })
    await add({ reminders, list_id: gone })
    await call('DELETE', `/api/lists/${kept}`)
    await call('DELETE', `/api/lists/${gone}?tasks=trash`)
    at('2026-08-01T09:00:00Z')
    await here.deliverReminders()
    expect((await deliveredTo(ada)).map(({ task_id }) => task_id)).toEqual([task.id])
  })

  test('is delivered late, once, after an outage; all that were due then', async () => {
    const { here, ada, add } = await owner()
    await add({
      due_on: '2026-08-05',
      reminders: [{ minutes_before: 2880 }, { minutes_before: 1440 }, { minutes_before: 0 }],
    })
    at('2026-08-04T12:00:00Z')
    await here.deliverReminders()
    await here.deliverReminders()
    expect(await timesOf(ada)).toEqual(['2026-08-03T09:00:00.000Z', '2026-08-04T09:00:00.000Z'])
    at('2026-08-09T00:00:00Z')
    await here.deliverReminders()
    expect(await timesOf(ada)).toHaveLength(3)
  })

  test('in the past is not delivered', async () => {
    const { here, ada, call, add } = await owner()
    const task = await add({ due_at: '2026-08-01T08:10:00Z', reminders: [{ minutes_before: 30 }] })
    await here.deliverReminders()
    await call('PATCH', `/api/tasks/${task.id}`, {
      reminders: [{ at: '2026-08-01T07:59:59.999Z' }],
    })
    await add({ reminders: [{ minutes_before: 5 }] })
    await run(here, '2026-08-01T08:00:00Z', '2026-08-01T09:00:00Z')
    expect(await timesOf(ada)).toEqual([])
  })

  test('is not lost by a write between its time and its delivery', async () => {
    const { here, ada, call, add } = await owner()
    const task = await add({ due_at: '2026-08-01T09:00:00Z', reminders: [{ minutes_before: 0 }] })
    await here.deliverReminders()
    at('2026-08-01T09:00:05Z')
    const path = `/api/tasks/${task.id}`
    const { due_at, reminders } = task
    const { body: other } = await call('POST', '/api/lists', { name: 'x' })
    await call('PATCH', path, { title: 'y', due_at, reminders })
    await call('PUT', path, { title: 'z', due_at, reminders })
    await call('POST', `${path}/move`, { list_id: other.id })
    await call('POST', '/api/tasks/batch', { update: [{ id: task.id, tags: ['a'] }] })
    await call('POST', '/api/tasks/import?mode=update', { tasks: [{ id: task.id, title: 'w' }] })
    await here.deliverReminders()
    expect(await timesOf(ada)).toEqual(['2026-08-01T09:00:00.000Z'])
  })

  test('that is set seconds before its time is delivered', async () => {
    const { here, ada, add } = await owner()
    await add({ reminders: [{ at: '2026-08-01T08:00:03Z' }] })
    pass(20 * second)
    await here.deliverReminders()
    expect(await timesOf(ada)).toEqual(['2026-08-01T08:00:03.000Z'])
  })

  test('is delivered once by any number of instances at once', async () => {
    const { here, ada, add } = await owner()
    const others = await Promise.all(Array.from({ length: 4 }, () => service(long)))
    for (let nth = 0; nth < 30; nth++) await add({ reminders: [{ at: '2026-08-01T09:00:00Z' }] })
    at('2026-08-01T09:00:00Z')
    await Promise.all([here, ...others].map(({ deliverReminders }) => deliverReminders()))
    const delivered = await deliveredTo(ada)
    expect(delivered).toHaveLength(30)
    expect(new Set(delivered.map(({ task_id }) => task_id)).size).toBe(30)
  })

  test('is delivered before the completion of its task, or not at all', async () => {
    const { here, ada, call, add } = await owner()
    const made = []
    for (let nth = 0; nth < 20; nth++)
      made.push(await add({ reminders: [{ at: '2026-08-01T09:00:00Z' }] }))
    at('2026-08-01T09:00:00Z')
    await Promise.all([
      ...made.map(({ id }) => call('PATCH', `/api/tasks/${id}/complete`)),
      here.deliverReminders(),
    ])
    const { db } = await database()
    const rows = await db.select().from(tasks).where(eq(tasks.user_id, ada.id))
    const completedBy = new Map(rows.map(({ id, change }) => [id, change]))
    for (const { task_id, change } of await deliveredTo(ada))
      expect(change).toBeLessThan(completedBy.get(task_id) ?? 0)
    await here.deliverReminders()
    expect(rows.every(({ completed }) => completed)).toBe(true)
    const left = await db.select().from(tasks).where(eq(tasks.user_id, ada.id))
    expect(left.map(({ remind_at }) => remind_at)).toEqual(made.map(() => null))
  })

  test('of a recurring task is repeated with its successor', async () => {
    const { here, ada, call, add } = await owner()
    const task = await add({
      due_at: '2026-08-01T09:00:00Z',
      recurrence: { rrule: 'FREQ=DAILY' },
      reminders: [{ minutes_before: 30 }],
    })
    const { body } = await call('PATCH', `/api/tasks/${task.id}/complete`)
    expect(body.next.reminders).toEqual(task.reminders)
    const { body: batch } = await call('POST', '/api/tasks/batch', {
      complete: [{ id: body.next.id }],
    })
    expect(batch.completed).toHaveLength(1)
    await run(here, '2026-08-01T08:00:00Z', '2026-08-04T12:00:00Z', hour)
    expect(await timesOf(ada)).toEqual(['2026-08-03T08:30:00.000Z'])
  })

  test('of a task that an earlier version of the service has completed is not delivered', async () => {
    const { here, ada, add } = await owner()
    const task = await add({ reminders: [{ at: '2026-08-01T09:00:00Z' }] })
    await here.deliverReminders()
    const { db } = await database()
    const done = { completed: true, completed_at: '2026-08-01T08:30:00Z' }
    await db.update(tasks).set(done).where(eq(tasks.id, task.id))
    at('2026-08-01T09:00:00Z')
    await here.deliverReminders()
    expect(await deliveredTo(ada)).toEqual([])
    const [row] = await db.select().from(tasks).where(eq(tasks.id, task.id))
    expect(row?.remind_at).toBeNull()
  })

  test('of one user changes nothing of another', async () => {
    const { here, ada, add } = await owner()
    const bob = await here.someone()
    await adderFor(bob)({ reminders: [{ at: '2026-08-01T09:30:00Z' }] })
    await add({ reminders: [{ at: '2026-08-01T09:00:00Z' }] })
    await here.deliverReminders()
    const before = await rowsOf(bob.id)
    const stream = await openStream(here.app, { token: bob.token })
    await stream.until(1)
    at('2026-08-01T09:00:00Z')
    await here.deliverReminders()
    expect(await timesOf(ada)).toHaveLength(1)
    expect(await rowsOf(bob.id)).toEqual(before)
    expect(await timesOf(bob)).toEqual([])
    expect(stream.events).toHaveLength(1)
    await stream.close()
  })

  test('is kept for TRASH_DAYS, and not longer', async () => {
    const { here, ada, add } = await owner()
    await add({ reminders: [{ at: '2026-08-01T09:00:00Z' }] })
    at('2026-08-01T09:00:00Z')
    await here.deliverReminders()
    pass(30 * day)
    await here.purge(30)
    expect(await deliveredTo(ada)).toHaveLength(1)
    pass(hour)
    await here.purge(30)
    expect(await deliveredTo(ada)).toEqual([])
  })

  test.each<[unknown, string]>([
    [[{ at: '2026-08-01' }], 'at '],
    [[{ at: 5 }], 'at '],
    [[{ minutes_before: -1 }], 'minutes_before must be a whole number from 0 to 527040'],
    [[{ minutes_before: 1.5 }], 'minutes_before must be'],
    [[{ minutes_before: '5' }], 'minutes_before must be'],
    [[{ minutes_before: 5, at: '2026-08-01T09:00:00Z' }], 'must be {at} or {minutes_before}'],
    [[{}], 'must be {at} or {minutes_before}'],
    [['x'], 'must be {at} or {minutes_before}'],
    [[null], 'must be {at} or {minutes_before}'],
  ])('%j is 422', async (reminders, detail) => {
    const { call } = await owner()
    const { status, body } = await call('POST', '/api/tasks', { title: 'x', reminders })
    expect([status, body.errors.map(({ pointer }: { pointer: string }) => pointer)]).toEqual([
      422,
      ['/reminders/0'],
    ])
    expect(body.errors[0].detail).toStartWith(detail)
  })

  test('is one of at most five', async () => {
    const { call } = await owner()
    const reminders = Array.from({ length: 6 }, (_, nth) => ({ minutes_before: nth }))
    expect((await call('POST', '/api/tasks', { title: 'x', reminders })).status).toBe(422)
    const { body } = await call('POST', '/api/tasks', { title: 'x', reminders: reminders.slice(1) })
    expect(body.reminders).toHaveLength(5)
    expect((await call('PATCH', `/api/tasks/${body.id}`, { reminders: null })).status).toBe(422)
  })
})

describe('one statement', () => {
  const prepared = async () => {
    const all = await owner()
    const { db } = await database()
    const [a, b, done, gone] = [
      await all.add({ reminders: [{ at: '2026-08-01T09:00:00Z' }] }),
      await all.add({ reminders: [{ at: '2026-08-01T09:00:00Z' }] }),
      await all.add({ reminders: [{ at: '2026-08-01T09:00:00Z' }] }),
      await all.add({ reminders: [{ at: '2026-08-01T09:00:00Z' }] }),
    ]
    await db.update(users).set({ reminders_by_mail: true }).where(eq(users.id, all.ada.id))
    const withMail = createReminderRepository(db, { hasMail: true })
    const withoutMail = createReminderRepository(db, { hasMail: false })
    const queued = () => db.select().from(mailMessages).where(eq(mailMessages.user_id, all.ada.id))
    return { ...all, db, a, b, done, gone, withMail, withoutMail, queued }
  }

  test('delivers what it is told, unless it was completed or deleted meanwhile', async () => {
    const { ada, call, a, b, done, gone, withMail, queued } = await prepared()
    expect(await withMail.deliver(ada.id, [a.id])).toEqual({
      tasks: 1,
      delivered: 0,
      isMailed: false,
    })
    expect(await queued()).toEqual([])
    await call('PATCH', `/api/tasks/${done.id}/complete`)
    await call('DELETE', `/api/tasks/${gone.id}`)
    at('2026-08-01T09:00:00Z')
    const told = [a.id, done.id, gone.id]
    expect(await withMail.deliver(ada.id, told)).toEqual({ tasks: 1, delivered: 1, isMailed: true })
    expect(await withMail.deliver(ada.id, told)).toEqual({
      tasks: 0,
      delivered: 0,
      isMailed: false,
    })
    expect((await deliveredTo(ada)).map(({ task_id }) => task_id)).toEqual([a.id])
    expect(await queued()).toHaveLength(1)
    expect(await waitingIds(ada)).toEqual([b.id])
  })

  test.each([
    ['without mail', {}, false],
    ['for a user who does not want it', { reminders_by_mail: false }, true],
    ['for a disabled account', { disabled_at: '2026-08-01T08:00:00Z' }, true],
    ['for a user without an address', { email: null, password_hash: null }, true],
  ])('stores no mail %s', async (_, set, hasMail) => {
    const { ada, db, a, withMail, withoutMail, queued } = await prepared()
    if (hasMail) await db.update(users).set(set).where(eq(users.id, ada.id))
    at('2026-08-01T09:00:00Z')
    const { deliver } = hasMail ? withMail : withoutMail
    expect(await deliver(ada.id, [a.id])).toEqual({ tasks: 1, delivered: 1, isMailed: false })
    expect(await queued()).toEqual([])
  })
})

describe('a mail', () => {
  const mailed = async (settings: object = { reminders_by_mail: true }) => {
    const smtp = await startSmtp()
    const all = await owner(smtp.env)
    await (await database()).db.delete(mailMessages)
    const { status, body } = await all.call('PATCH', '/api/auth/me', settings)
    expect(status).toBe(200)
    const send = async () => {
      await all.deliver()
      await all.here.sendMail()
      return smtp.mailsTo(all.ada.email)
    }
    return { ...all, smtp, send, me: body }
  }

  test('is sent for a reminder if the user wants it, with the due time of the user', async () => {
    const { add, send, smtp, me } = await mailed({
      reminders_by_mail: true,
      time_zone: 'Europe/Berlin',
    })
    expect(me.reminders_by_mail).toBe(true)
    await add({
      title: 'Buy\r\nBcc: eve@example.test milk',
      due_at: '2026-08-01T10:00:00Z',
      reminders: [{ minutes_before: 60 }],
    })
    at('2026-08-01T09:00:00Z')
    const [mail, ...others] = await send()
    expect(others).toEqual([])
    expect(mail?.text).toContain('\r\nSubject: Reminder: Buy Bcc: eve@example.test milk\r\n')
    expect(mail?.text).toContain(
      'Buy Bcc: eve@example.test milk, due 1 August 2026 at 12:00 (Europe/Berlin)',
    )
    expect(smtp.received.flatMap(({ to }) => to)).not.toContain('eve@example.test')
    expect(await send()).toHaveLength(1)
    await smtp.stop()
  })

  test('is not sent unless the user wants it, and not after the user no longer does', async () => {
    const { call, add, deliver, send, smtp, me } = await mailed({})
    expect(me.reminders_by_mail).toBe(false)
    await add({ reminders: [{ at: '2026-08-01T09:00:00Z' }, { at: '2026-08-01T10:00:00Z' }] })
    at('2026-08-01T09:00:00Z')
    expect(await send()).toEqual([])
    await call('PATCH', '/api/auth/me', { reminders_by_mail: true })
    at('2026-08-01T10:00:00Z')
    await deliver()
    await call('PATCH', '/api/auth/me', { reminders_by_mail: false })
    expect(await send()).toEqual([])
    await smtp.stop()
  })

  test('lists all reminders of its time, without tasks that are done or deleted by then', async () => {
    const { call, add, deliver, send, smtp } = await mailed()
    const reminders = [{ at: '2026-08-01T09:00:00Z' }]
    const made = []
    for (let nth = 0; nth < 25; nth++)
      made.push(await add({ title: `task ${nth}`, due_on: '2026-08-02', reminders }))
    at('2026-08-01T09:00:00Z')
    await deliver()
    await call('PATCH', `/api/tasks/${made[0].id}/complete`)
    await call('DELETE', `/api/tasks/${made[1].id}`)
    const [mail, ...others] = await send()
    expect(others).toEqual([])
    expect(mail?.text).toContain('\r\nSubject: 23 reminders\r\n')
    const [text = ''] = mail?.text.split('text/html') ?? []
    expect(text.match(/task \d+, due 2 August 2026/g)).toHaveLength(20)
    expect(mail?.text).toContain('And 3 more.')
    expect(mail?.text).not.toMatch(/task [01],/)
    await smtp.stop()
  })

  test('is not sent if its only task is done by then', async () => {
    const { call, add, deliver, send, smtp } = await mailed()
    const task = await add({ reminders: [{ at: '2026-08-01T09:00:00Z' }] })
    at('2026-08-01T09:00:00Z')
    await deliver()
    await call('PATCH', `/api/tasks/${task.id}/complete`)
    expect(await send()).toEqual([])
    await smtp.stop()
  })

  test('is sent at most 100 times a day', async () => {
    const rateLimitStore = createMemoryStore()
    const smtp = await startSmtp()
    const here = await service({ ...long, ...smtp.env }, { rateLimitStore })
    await here.deliverReminders()
    await here.sendMail()
    const ada = await here.someone()
    await ada.call('PATCH', '/api/auth/me', { reminders_by_mail: true })
    const remindNow = async () => {
      const soon = new Date(Date.now() + minute).toISOString()
      await adderFor(ada)({ reminders: [{ at: soon }] })
      pass(minute)
      await here.deliverReminders()
      await here.sendMail()
      return smtp.mailsTo(ada.email).length
    }
    for (let nth = 0; nth < 98; nth++) rateLimitStore.add(`reminder-mails:${ada.id}`, day, 100)
    expect([await remindNow(), await remindNow(), await remindNow()]).toEqual([1, 2, 2])
    expect(await deliveredTo(ada)).toHaveLength(3)
    pass(day)
    expect(await remindNow()).toBe(3)
    await smtp.stop()
  })
})
