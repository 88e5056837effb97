import { afterEach, describe, expect, test } from 'bun:test'
import { at, realTime, type Someone, service } from '../support/service.ts'

afterEach(realTime)

const tasks = '/api/tasks'
const monday = '2026-06-01'
const weekly = { rrule: 'FREQ=WEEKLY;BYDAY=MO' }
const stored = { ...weekly, time_zone: 'UTC', from: 'due' as const }

const ada = async () => {
  at(`${monday}T08:00:00.000Z`)
  return (await service({ RATE_LIMIT: '10000' })).someone()
}
const add = async ({ call }: Someone, members: object = {}) =>
  (
    await call('POST', tasks, {
      title: 'Water the plants',
      due_on: monday,
      recurrence: weekly,
      ...members,
    })
  ).body
const all = async ({ call }: Someone) =>
  (await call('GET', `${tasks}?sort=created_at&limit=200`)).body.tasks
const complete = (
  { call }: Someone,
  id: string,
  body: unknown = { completed: true },
  headers = {},
) => call('PATCH', `${tasks}/${id}/complete`, body, headers)

describe('a recurrence', () => {
  test('has the time zone of the user and counts from the due date, if the request does not say', async () => {
    const user = await ada()
    await user.call('PATCH', '/api/auth/me', { time_zone: 'Europe/Berlin' })
    const plain = await add(user)
    const own = await add(user, {
      recurrence: { ...weekly, time_zone: 'asia/tokyo', from: 'completion' },
    })

    expect(plain.recurrence).toEqual({ ...stored, time_zone: 'Europe/Berlin' })
    expect(own.recurrence).toEqual({ ...weekly, time_zone: 'Asia/Tokyo', from: 'completion' })
    expect([plain.series_id, own.series_id]).toEqual([plain.id, own.id])
    expect(await all(user)).toEqual([plain, own])
  })

  test('is set, kept, replaced and cleared by PATCH and PUT', async () => {
    const user = await ada()
    const { call } = user
    const { id } = await add(user, { recurrence: null })
    const path = `${tasks}/${id}`
    const steps = [
      await call('GET', path),
      await call('PATCH', path, { recurrence: weekly }),
      await call('PATCH', path, { title: 'x' }),
      await call('PUT', path, { title: 'x', due_on: monday, recurrence: { rrule: 'FREQ=DAILY' } }),
      await call('PATCH', path, { recurrence: null }),
    ].map(({ body }) => [body.recurrence, body.series_id])

    expect(steps).toEqual([
      [null, null],
      [stored, id],
      [stored, id],
      [{ ...stored, rrule: 'FREQ=DAILY' }, id],
      [null, id],
    ])
  })

  test('needs a due date, also after a patch and in a batch', async () => {
    const user = await ada()
    const { call } = user
    const none = { title: 'x', recurrence: weekly }
    const { id } = (await call('POST', tasks, { title: 'x' })).body
    const recurring = await add(user)
    const refused = [
      await call('POST', tasks, none),
      await call('PUT', `${tasks}/${id}`, none),
      await call('PATCH', `${tasks}/${id}`, { recurrence: weekly }),
      await call('PATCH', `${tasks}/${recurring.id}`, { due_on: null }),
      await call('POST', `${tasks}/batch`, { create: [none] }),
      await call('POST', `${tasks}/batch`, { update: [{ id, recurrence: weekly }] }),
      await call('POST', `${tasks}/batch`, { update: [{ id: recurring.id, due_on: null }] }),
      await call('POST', `${tasks}/import`, { tasks: [none] }),
    ].map(({ status, body }) => [status, body.errors[0].pointer, body.errors[0].detail])

    const requires = 'requires due_at or due_on'
    const recurs = 'the task recurs: send recurrence: null too'
    expect(refused).toEqual([
      [422, '/recurrence', requires],
      [422, '/recurrence', requires],
      [422, '/recurrence', requires],
      [422, '/due_on', recurs],
      [422, '/create/0/recurrence', requires],
      [422, '/update/0/recurrence', requires],
      [422, '/update/0/due_on', recurs],
      [422, '/tasks/0', `recurrence ${requires}`],
    ])
    const moved = await call('PATCH', `${tasks}/${recurring.id}`, {
      due_on: null,
      due_at: `${monday}T09:00:00Z`,
    })
    expect(moved.body.recurrence).toEqual(stored)
  })

  test.each([
    ['FREQ=HOURLY', 'FREQ must be DAILY, WEEKLY, MONTHLY or YEARLY'],
    ['INTERVAL=2', 'must have a FREQ'],
    ['every day', 'must be an RRULE, such as FREQ=WEEKLY;BYDAY=MO'],
    ['FREQ=DAILY;', 'has a part without a value'],
    ['RRULE:FREQ=DAILY', 'has a part that is not supported'],
    ['FREQ=DAILY;INTERVAL=0', 'INTERVAL must be from 1 to 1000'],
    ['FREQ=DAILY;COUNT=1000000000', 'COUNT must be from 1 to 1000'],
    ['FREQ=DAILY;COUNT=2;UNTIL=20270101', 'must not have COUNT and UNTIL'],
    ['FREQ=DAILY;BYHOUR=9', 'has a part that is not supported'],
    ['FREQ=DAILY;FREQ=DAILY', 'has a part twice'],
    ['FREQ=WEEKLY;BYDAY=1MO', 'BYDAY must not have numbers with this FREQ'],
    ['FREQ=MONTHLY;BYDAY=6MO', 'BYDAY has a weekday that no month has'],
    ['FREQ=MONTHLY;SKIP=BACKWARD', 'SKIP requires RSCALE=GREGORIAN'],
    [
      'FREQ=DAILY;UNTIL=20260230',
      'UNTIL must be a day such as 20261224, or a time such as 20261224T180000Z',
    ],
    [
      'FREQ=YEARLY;BYMONTH=2;BYMONTHDAY=30',
      'matches no day: no month of BYMONTH has a day of BYMONTHDAY',
    ],
    ['FREQ=MONTHLY;BYDAY=1MO;BYMONTHDAY=20', 'matches no day, or takes too long to find one'],
    ['FREQ=WEEKLY;BYDAY=MO;BYSETPOS=2', 'matches no day, or takes too long to find one'],
    ['FREQ=YEARLY;BYDAY=MO;BYSETPOS=-366', 'matches no day, or takes too long to find one'],
    ['FREQ=DAILY;INTERVAL=7;BYDAY=TU', 'matches no day, or takes too long to find one'],
  ])('%s is refused when it is written', async (rrule, detail) => {
    const { call } = await ada()
    const members = { due_on: monday, recurrence: { rrule } }
    const { id } = (await call('POST', tasks, { title: 'x', due_on: monday })).body
    for (const [method, path, body, pointer] of [
      ['POST', tasks, { title: 'x', ...members }, ''],
      ['PATCH', `${tasks}/${id}`, members, ''],
      ['POST', `${tasks}/batch`, { create: [{ title: 'x', ...members }] }, '/create/0'],
    ] as const) {
      const { status, body: problem } = await call(method, path, body)
      expect([status, problem.errors]).toEqual([
        422,
        [{ in: 'body', pointer: `${pointer}/recurrence/rrule`, detail }],
      ])
    }
  })
})

describe('completing', () => {
  test('keeps the task as history, and creates the next one', async () => {
    const user = await ada()
    const { call } = user
    const list = (await call('POST', '/api/lists', { name: 'Home' })).body
    const members = { description: 'all', priority: 'high', tags: ['home'], list_id: list.id }
    const first = await add(user, members)
    const { status, body, headers } = await complete(user, first.id)

    const [kept, next] = await all(user)
    expect([status, headers.get('etag')]).toEqual([200, '"2"'])
    expect(body).toEqual({ success: true, completed: true, next })
    expect(kept).toMatchObject({
      id: first.id,
      completed: true,
      recurrence: stored,
      due_on: monday,
    })
    expect(next).toEqual({
      ...first,
      id: next.id,
      due_on: '2026-06-08',
      position: next.position,
      created_at: next.created_at,
      updated_at: next.updated_at,
    })
    expect(next.position > first.position).toBe(true)
    expect((await call('GET', `/api/lists/${list.id}`)).body.task_count).toBe(2)
  })

  test('has no `next` for a task that does not recur', async () => {
    const user = await ada()
    const { id } = await add(user, { recurrence: null })
    expect((await complete(user, id)).body).toEqual({ success: true, completed: true })
  })

  test('creates the next one whatever the route', async () => {
    const user = await ada()
    const { call } = user
    const byPatch = await add(user)
    const byPut = await add(user)
    const byBatch = await add(user)
    const byUpdate = await add(user)
    const byToggle = await add(user)
    await call('PATCH', `${tasks}/${byPatch.id}`, { completed: true, title: 'By patch' })
    await call('PUT', `${tasks}/${byPut.id}`, { ...byPut, completed: true, due_on: '2026-06-09' })
    await call('POST', `${tasks}/batch`, {
      complete: [{ id: byBatch.id }],
      update: [{ id: byUpdate.id, completed: true, recurrence: { rrule: 'FREQ=DAILY' } }],
    })
    await call('PATCH', `${tasks}/${byToggle.id}/complete`)

    const nextOf = async (of: { id: string }) =>
      (await all(user)).filter(
        (one: { series_id: string; id: string }) => one.series_id === of.id && one.id !== of.id,
      )
    expect(await nextOf(byPatch)).toMatchObject([{ title: 'By patch', due_on: '2026-06-08' }])
    expect(await nextOf(byPut)).toMatchObject([{ due_on: '2026-06-15' }])
    expect(await nextOf(byBatch)).toMatchObject([{ due_on: '2026-06-08', version: 1 }])
    expect(await nextOf(byUpdate)).toMatchObject([
      { due_on: '2026-06-02', recurrence: { rrule: 'FREQ=DAILY' } },
    ])
    expect(await nextOf(byToggle)).toMatchObject([{ due_on: '2026-06-08' }])
  })

  test('of a task whose rule goes away in the same request creates none', async () => {
    const user = await ada()
    const { id } = await add(user)
    await user.call('PATCH', `${tasks}/${id}`, { completed: true, recurrence: null })
    expect(await all(user)).toHaveLength(1)
  })

  test('twice, concurrently or with one key, creates one successor', async () => {
    const user = await ada()
    const { id } = await add(user)
    const both = await Promise.all(Array.from({ length: 8 }, () => complete(user, id)))
    const again = await complete(user, id)
    const [, next, ...others] = await all(user)

    expect(others).toEqual([])
    expect(both.map(({ status }) => status)).toEqual(Array(8).fill(200))
    expect([...both, again].map(({ body }) => body.next.id)).toEqual(Array(9).fill(next.id))

    const key = { 'idempotency-key': 'once' }
    const first = await complete(user, next.id, { completed: true }, key)
    const replayed = await complete(user, next.id, { completed: true }, key)
    expect(replayed.headers.get('idempotency-replayed')).toBe('true')
    expect(replayed.body).toEqual(first.body)
    expect(replayed.headers.get('etag')).toBe(first.headers.get('etag'))
    expect(first.body.next.due_on).toBe('2026-06-15')
    expect(await all(user)).toHaveLength(3)
  })

  test('in two concurrent batches creates one successor, and a key replays', async () => {
    const user = await ada()
    const { id } = await add(user)
    const batch = { complete: [{ id, completed: true }], create: [{ title: 'other' }] }
    const key = { 'idempotency-key': 'batch' }
    const answers = await Promise.all(
      Array.from({ length: 4 }, () => user.call('POST', `${tasks}/batch`, batch)),
    )
    const keyed = await user.call('POST', `${tasks}/batch`, batch, key)
    const replayed = await user.call('POST', `${tasks}/batch`, batch, key)

    expect(answers.map(({ status }) => status)).toEqual(Array(4).fill(200))
    expect(replayed.body).toEqual(keyed.body)
    const ofSeries = (await all(user)).filter((one: { series_id: string }) => one.series_id === id)
    expect(ofSeries).toHaveLength(2)
  })

  test('obeys If-Match, and a refused one creates nothing', async () => {
    const user = await ada()
    const { id } = await add(user)
    const stale = await complete(user, id, { completed: true }, { 'if-match': '"7"' })
    expect([stale.status, stale.headers.get('etag')]).toEqual([412, '"1"'])
    const batch = await user.call('POST', `${tasks}/batch`, {
      complete: [{ id }],
      delete: [Bun.randomUUIDv7()],
    })
    expect(batch.status).toBe(404)
    expect(await all(user)).toHaveLength(1)
    expect((await complete(user, id, { completed: true }, { 'if-match': '"1"' })).status).toBe(200)
    expect(await all(user)).toHaveLength(2)
  })

  test('a series with COUNT ends, and its last task has no next one', async () => {
    const user = await ada()
    let task = await add(user, { recurrence: { rrule: 'FREQ=DAILY;COUNT=3' } })
    const days = [task.due_on]
    for (;;) {
      const { next } = (await complete(user, task.id)).body
      if (next === null) break
      days.push(next.due_on)
      task = next
    }
    expect(days).toEqual(['2026-06-01', '2026-06-02', '2026-06-03'])
  })
})

describe('undoing a completion', () => {
  test('removes the successor, with a tombstone, and completing again creates another one', async () => {
    const user = await ada()
    const { id } = await add(user)
    const { next } = (await complete(user, id)).body
    const { next: since } = (await user.call('GET', `${tasks}/changes`)).body
    const undone = await complete(user, id, { completed: false })

    expect(undone.body).toEqual({ success: true, completed: false, next: null })
    expect(await all(user)).toMatchObject([{ id, completed: false }])
    expect((await user.call('GET', `${tasks}/trash`)).body.tasks).toEqual([])
    const { changes } = (await user.call('GET', `${tasks}/changes?since=${since}`)).body
    expect(changes).toContainEqual(expect.objectContaining({ op: 'delete', id: next.id }))

    await complete(user, id)
    expect(await all(user)).toHaveLength(2)
  })

  test.each(['PATCH', 'PUT', 'batch'])('by %s removes it too', async (how) => {
    const user = await ada()
    const task = await add(user)
    await complete(user, task.id)
    if (how === 'batch')
      await user.call('POST', `${tasks}/batch`, { update: [{ id: task.id, completed: false }] })
    else
      await user.call(how, `${tasks}/${task.id}`, { ...(how === 'PUT' && task), completed: false })
    expect(await all(user)).toMatchObject([{ id: task.id, completed: false }])
  })

  test('keeps a successor that was changed, and completing again returns it', async () => {
    const user = await ada()
    const { id } = await add(user)
    const { next } = (await complete(user, id)).body
    await user.call('PATCH', `${tasks}/${next.id}`, { title: 'changed' })
    await complete(user, id, { completed: false })
    expect(await all(user)).toHaveLength(2)

    const again = await complete(user, id)
    expect(again.body.next).toMatchObject({ id: next.id, title: 'changed' })
    expect(await all(user)).toHaveLength(2)
  })

  test('by a batch keeps successors that were changed, also by the batch, and those of other tasks', async () => {
    const user = await ada()
    const [first, second, third, other] = [
      await add(user),
      await add(user),
      await add(user),
      await add(user),
    ]
    const successor = async ({ id }: { id: string }) => (await complete(user, id)).body.next
    const changed = await successor(first)
    const inBatch = await successor(second)
    const removed = await successor(third)
    const kept = await successor(other)
    await user.call('PATCH', `${tasks}/${changed.id}`, { title: 'changed' })
    const batch = await user.call('POST', `${tasks}/batch`, {
      update: [
        { id: first.id, completed: false },
        { id: second.id, completed: false },
        { id: third.id, completed: false },
        { id: inBatch.id, title: 'in the batch' },
        { id: other.id, title: 'still completed' },
      ],
    })

    const left = (await all(user)).map(({ id }: { id: string }) => id)
    expect(batch.status).toBe(200)
    expect([changed, inBatch, removed, kept].map(({ id }) => left.includes(id))).toEqual([
      true,
      true,
      false,
      true,
    ])
  })

  test('concerns the tasks of the user only', async () => {
    const user = await ada()
    const other = await (await service({ RATE_LIMIT: '10000' })).someone()
    const { id } = await add(user)
    await complete(user, id)
    expect((await complete(other, id, { completed: false })).status).toBe(404)
    expect(await all(user)).toHaveLength(2)
    expect(await all(other)).toEqual([])
  })
})
