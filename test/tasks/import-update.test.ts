import { describe, expect, test } from 'bun:test'
import { service } from '../support/service.ts'

const importing = '/api/tasks/import'
const update = `${importing}?mode=update`

const ada = async () => (await service({ RATE_LIMIT: '10000' })).someone()
type Ada = Awaited<ReturnType<typeof ada>>
const add = async ({ call }: Ada, members: object) =>
  (await call('POST', '/api/tasks', { title: 'old', ...members })).body
const all = async ({ call }: Ada) =>
  (await call('GET', '/api/tasks?sort=created_at&limit=200')).body.tasks

describe('an import with mode=update', () => {
  test('changes the tasks whose ids it has, and creates the others', async () => {
    const user = await ada()
    const known = await add(user, {
      description: 'kept',
      priority: 'high',
      tags: ['a'],
      due_on: '2026-12-24',
    })
    const untouched = await add(user, {})
    const absent = Bun.randomUUIDv7()
    const { status, body } = await user.call('POST', update, {
      tasks: [
        { title: 'without id' },
        { id: known.id.toUpperCase(), title: 'new', tags: [], due_on: null },
        { id: absent, title: 'unknown id', completed: true },
        { id: 'no id', title: 'invalid id' },
      ],
    })

    const [first, , third, fourth] = body.ids
    expect([status, body]).toEqual([
      200,
      { imported: 3, updated: 1, ids: [first, known.id, third, fourth], dropped: [] },
    ])
    expect(third).not.toBe(absent)
    const tasks = await all(user)
    expect(tasks.find(({ id }: { id: string }) => id === known.id)).toEqual({
      ...known,
      title: 'new',
      tags: [],
      due_on: null,
      version: 2,
      updated_at: expect.any(String),
    })
    expect(tasks).toContainEqual(untouched)
    expect(
      body.ids.map((id: string) => tasks.find((task: { id: string }) => task.id === id).title),
    ).toEqual(['without id', 'new', 'unknown id', 'invalid id'])
  })

  test('needs no title for a known id, and changes the completion only if it says so', async () => {
    const user = await ada()
    const done = await add(user, {})
    await user.call('PATCH', `/api/tasks/${done.id}/complete`)
    const open = await add(user, {})
    const at = '2026-11-21T08:30:00.000Z'
    const { body } = await user.call('POST', update, {
      tasks: [
        { id: done.id, priority: 'low' },
        { id: open.id, completed: true, completed_at: at },
      ],
    })
    expect([body.imported, body.updated]).toEqual([0, 2])
    const [first, second] = await all(user)
    expect(first).toMatchObject({ title: 'old', priority: 'low', completed: true, version: 3 })
    expect(second).toMatchObject({ completed: true, completed_at: at, version: 2 })
    await user.call('POST', update, { tasks: [{ id: open.id, completed: false }] })
    expect((await all(user))[1]).toMatchObject({ completed: false, completed_at: null, version: 3 })
  })

  test('moves tasks to lists by name, to the inbox by null, and leaves them otherwise', async () => {
    const user = await ada()
    const list = (await user.call('POST', '/api/lists', { name: 'Home' })).body
    const tasks = [
      await add(user, {}),
      await add(user, { list_id: list.id }),
      await add(user, { list_id: list.id }),
      await add(user, { list_id: list.id }),
    ]
    const changes = [{ list: 'home' }, { list: 'Garden' }, { list_id: null }, { title: 'stays' }]
    const { body } = await user.call('POST', update, {
      tasks: tasks.map(({ id }, at) => ({ id, ...changes[at] })),
    })
    expect(body.updated).toBe(4)
    const { lists } = (await user.call('GET', '/api/lists')).body
    const garden = lists.find(({ name }: { name: string }) => name === 'Garden')
    expect((await all(user)).map(({ list_id }: { list_id: string }) => list_id)).toEqual([
      list.id,
      garden.id,
      null,
      list.id,
    ])
  })

  test('of an export restores what was changed since, in every format', async () => {
    for (const [format, type] of [
      ['json', 'application/json'],
      ['ndjson', 'application/x-ndjson'],
      ['csv', 'text/csv'],
      ['ics', 'text/calendar'],
    ] as const) {
      const user = await ada()
      await add(user, { title: 'a', description: 'x', tags: ['p'], due_on: '2026-12-24' })
      await add(user, { title: 'b', priority: 'urgent', due_at: '2026-12-24T18:00:00.000Z' })
      const before = await all(user)
      const { text } = await user.call('GET', `/api/tasks/export?format=${format}`)
      for (const { id } of before)
        await user.call('PATCH', `/api/tasks/${id}`, { title: 'changed' })
      const file = format === 'json' ? JSON.parse(text) : text
      const { body } = await user.call('POST', update, file, { 'content-type': type })
      expect([format, body.imported, body.updated]).toEqual([format, 0, 2])
      expect(await all(user)).toEqual(
        before.map((task: object) => ({ ...task, version: 3, updated_at: expect.any(String) })),
      )
    }
  })

  test('is all or nothing', async () => {
    const user = await ada()
    const due = await add(user, { due_at: '2026-12-24T18:00:00.000Z' })
    const plain = await add(user, {})
    const absent = Bun.randomUUIDv7()
    const before = await all(user)
    const refused = []
    for (const bad of [
      { id: due.id, due_on: '2026-12-24' },
      { id: plain.id, recurrence: { rrule: 'FREQ=DAILY' } },
      { id: absent },
      { id: absent, title: 'x', recurrence: { rrule: 'FREQ=DAILY' } },
      { id: plain.id.toUpperCase(), title: 'twice' },
      { title: null },
      { id: plain.id, title: null },
      { id: plain.id, list_id: absent },
    ]) {
      const { status, body } = await user.call('POST', update, {
        tasks: [{ id: plain.id, title: 'new' }, { title: 'also new' }, bad].slice(
          'id' in bad && bad.id === plain.id ? 1 : 0,
        ),
      })
      const dry = await user.call('POST', `${update}&dry_run=true`, {
        tasks: [{ id: plain.id, title: 'new' }, { title: 'also new' }, bad].slice(
          'id' in bad && bad.id === plain.id ? 1 : 0,
        ),
      })
      expect([dry.status, dry.body.errors]).toEqual([status, body.errors])
      refused.push([status, body.errors[0].pointer.slice(-1), body.errors[0].detail])
    }
    expect(refused).toEqual([
      [422, '2', 'due_on the task has due_at: send due_at: null too'],
      [422, '1', 'recurrence requires due_at or due_on'],
      [422, '2', 'title is required'],
      [422, '2', 'recurrence requires due_at or due_on'],
      [422, '2', 'has the id of another record'],
      [422, '2', 'title must be a string'],
      [422, '1', 'title must be a string'],
      [422, '1', 'list_id: no such list'],
    ])
    expect(await all(user)).toEqual(before)
  })

  test('never changes a task of another user, or one in the trash', async () => {
    const [user, other] = [await ada(), await ada()]
    const theirs = await add(other, { title: 'theirs' })
    const trashed = await add(user, {})
    await user.call('DELETE', `/api/tasks/${trashed.id}`)
    const { body } = await user.call('POST', update, {
      tasks: [
        { id: theirs.id, title: 'mine' },
        { id: trashed.id, title: 'again' },
      ],
    })
    expect([body.imported, body.updated]).toEqual([2, 0])
    expect(await all(other)).toEqual([theirs])
    expect((await user.call('GET', '/api/tasks/trash')).body.tasks).toMatchObject([
      { id: trashed.id, title: 'old' },
    ])
  })

  test('happens once per key, and is in the changes feed', async () => {
    const user = await ada()
    const known = await add(user, {})
    const { next } = (await user.call('GET', '/api/tasks/changes')).body
    const file = { tasks: [{ id: known.id, title: 'new' }, { title: 'other' }] }
    const key = { 'idempotency-key': 'once' }
    const first = await user.call('POST', update, file, key)
    const again = await user.call('POST', update, file, key)
    expect(again.headers.get('idempotency-replayed')).toBe('true')
    expect(again.body).toEqual(first.body)
    expect(await all(user)).toMatchObject([{ title: 'new', version: 2 }, { title: 'other' }])
    const { changes } = (await user.call('GET', `/api/tasks/changes?since=${next}`)).body
    expect(changes.map(({ task }: { task: { title: string } }) => task.title).sort()).toEqual([
      'new',
      'other',
    ])
  })

  test('of a recurring task creates no successor, because a file has the tasks as they are', async () => {
    const user = await ada()
    const { id } = await add(user, { due_on: '2026-12-24', recurrence: { rrule: 'FREQ=DAILY' } })
    await user.call('POST', update, { tasks: [{ id, completed: true }] })
    expect(await all(user)).toMatchObject([{ id, completed: true }])
  })

  test('without the mode, ids are ignored', async () => {
    const user = await ada()
    const { id } = await add(user, {})
    const { body } = await user.call('POST', importing, { tasks: [{ id, title: 'copy' }] })
    expect([body.imported, body.updated, (await all(user)).length]).toEqual([1, 0, 2])
  })
})
