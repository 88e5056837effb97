import { afterEach, describe, expect, test } from 'bun:test'
import { pass, realTime, rowsOf, service } from '../support/service.ts'
import type { Task } from '../support/walk-pages.ts'

afterEach(realTime)

const path = '/api/tasks/batch'
const titles = ['a', 'b', 'c', 'd', 'e', 'f']

const owner = async (env: Record<string, string> = {}) => {
  const here = await service(env)
  const ada = await here.someone()
  const { body } = await ada.call('POST', path, { create: titles.map((title) => ({ title })) })
  const ids: string[] = body.created.map(({ id }: Task) => id)
  const batch = (sent: unknown) => ada.call('POST', path, sent)
  return { here, ada, call: ada.call, batch, ids, tasks: body.created as Task[] }
}

describe('a batch', () => {
  test('creates, updates, completes and deletes in the given order', async () => {
    const { batch, ids, tasks, ada, call } = await owner()
    const [a = '', b = '', c = '', d = '', e = '', f = ''] = ids
    pass(1000)

    const { status, headers, body } = await batch({
      delete: [f],
      complete: [{ id: d }, { id: c, completed: false }],
      update: [
        { id: b, title: 'B', tags: ['x,y'], completed: true },
        { id: a, version: 1, description: 'A' },
      ],
      create: [
        { title: 'z', priority: 'low', due_at: '2027-01-01T01:00:00+01:00' },
        { title: 'y' },
      ],
    })

    expect([status, headers.get('etag')]).toEqual([200, null])
    expect(Object.keys(body)).toEqual(['created', 'updated', 'completed', 'deleted'])
    const now = body.created[0].created_at
    const [one, two, three, four] = tasks
    const changed = { version: 2, updated_at: now }
    const fresh = {
      ...one,
      id: expect.any(String),
      position: expect.any(String),
      created_at: now,
      updated_at: now,
    }
    expect(body).toEqual({
      created: [
        { ...fresh, title: 'z', priority: 'low', due_at: '2027-01-01T00:00:00.000Z' },
        { ...fresh, title: 'y' },
      ],
      updated: [
        { ...two, ...changed, title: 'B', tags: ['x,y'], completed: true, completed_at: now },
        { ...one, ...changed, description: 'A' },
      ],
      completed: [
        { ...four, ...changed, completed: true, completed_at: now },
        { ...three, ...changed },
      ],
      deleted: [f],
    })
    expect(new Set((await rowsOf(ada.id)).tasks.map(({ change }) => change)).size).toBe(2)
    for (const task of [...body.created, ...body.updated, ...body.completed])
      expect((await call('GET', `/api/tasks/${task.id}`)).body).toEqual(task)
    expect((await call('GET', `/api/tasks/${e}`)).body).toEqual(tasks[4])
    expect((await call('GET', '/api/tasks/trash')).body.tasks).toHaveLength(1)
  })

  test('returns an empty list for an absent operation', async () => {
    const { batch, ids } = await owner()
    const none = { created: [], updated: [], completed: [], deleted: [] }
    expect((await batch({ delete: ids.slice(0, 1) })).body).toEqual({
      ...none,
      deleted: ids.slice(0, 1),
    })
    expect((await batch({ create: [{ title: 'x' }], update: [] })).body).toMatchObject({
      updated: [],
    })
  })

  test('updates as PATCH does: absent members stay, null clears', async () => {
    const { batch, ids } = await owner()
    const [id] = ids
    const full = {
      description: 'd',
      due_at: '2027-01-01T00:00:00.000Z',
      tags: ['t'],
      priority: 'high',
    }
    const updated = async (changes: object): Promise<Task> =>
      (await batch({ update: [{ id, ...changes }] })).body.updated[0]

    expect(await updated(full)).toMatchObject({ ...full, title: 'a' })
    expect(await updated({ title: 'x' })).toMatchObject({ ...full, title: 'x' })
    expect(await updated({ description: null })).toMatchObject({ ...full, description: null })
    expect(await updated({ due_at: null, tags: [] })).toMatchObject({ due_at: null, tags: [] })
    const done = await updated({ completed: true })
    pass(1000)
    expect((await updated({ completed: true })).completed_at).toBe(done.completed_at)
    expect((await updated({ completed: false })).completed_at).toBeNull()
  })

  test('of 100 operations succeeds, and counts as one request', async () => {
    const { batch, ids } = await owner()
    const before = Number(
      (await batch({ complete: [{ id: ids[0] }] })).headers.get('ratelimit-remaining'),
    )

    const create = Array.from({ length: 100 }, (_, n) => ({ title: `${n}` }))
    const { status, headers, body } = await batch({ create })

    expect([status, body.created.map(({ title }: Task) => title)]).toEqual([
      200,
      create.map(({ title }) => title),
    ])
    expect(Number(headers.get('ratelimit-remaining'))).toBe(before - 1)
  })

  const absent = Bun.randomUUIDv7()
  type Case = [string, (ids: string[]) => object, number, string]
  const failures: Case[] = [
    [
      'a missing task to update',
      () => ({ update: [{ id: absent, title: 'x' }] }),
      404,
      '/update/0',
    ],
    ['a missing task to complete', () => ({ complete: [{ id: absent }] }), 404, '/complete/0'],
    ['a missing task to delete', () => ({ delete: [absent] }), 404, '/delete/0'],
    ['a malformed id', () => ({ delete: ['x'] }), 404, '/delete/0'],
    ['two malformed ids', () => ({ delete: ['x', 'x'] }), 404, '/delete/0'],
    [
      'another version',
      ([a]) => ({ update: [{ id: a, version: 2, title: 'x' }] }),
      412,
      '/update/0',
    ],
    [
      'the third of several',
      ([a, b]) => ({
        update: [
          { id: a, title: 'x' },
          { id: b, title: 'x' },
          { id: absent, title: 'x' },
        ],
      }),
      404,
      '/update/2',
    ],
    [
      'update before complete before delete, in any order of the members',
      ([a]) => ({
        delete: [absent],
        complete: [{ id: Bun.randomUUIDv7() }],
        update: [{ id: a, version: 9, title: 'x' }],
      }),
      412,
      '/update/0',
    ],
    [
      'complete before delete',
      ([a, b]) => ({
        delete: [absent],
        complete: [{ id: a }, { id: Bun.randomUUIDv7() }],
        update: [{ id: b, title: 'x' }],
      }),
      404,
      '/complete/1',
    ],
    ['an id twice in a list', ([a]) => ({ delete: [a, a] }), 422, '/delete/1'],
    [
      'an id in two lists',
      ([a, b]) => ({
        update: [
          { id: b, title: 'x' },
          { id: a, title: 'x' },
        ],
        delete: [a],
      }),
      422,
      '/delete/0',
    ],
    ['no operation', () => ({}), 422, ''],
    ['no operation in any list', () => ({ create: [], delete: [] }), 422, ''],
    [
      '101 operations',
      ([a]) => ({ create: Array.from({ length: 100 }, () => ({ title: 'x' })), delete: [a] }),
      422,
      '',
    ],
    [
      '101 of a kind',
      () => ({ create: Array.from({ length: 101 }, () => ({ title: 'x' })) }),
      422,
      '/create',
    ],
    [
      'a bad title',
      ([a]) => ({ create: [{ title: 'x' }, { title: '' }], delete: [a] }),
      422,
      '/create/1/title',
    ],
    [
      'an unknown member',
      ([a]) => ({ update: [{ id: a, title: 'x', user_id: a }] }),
      422,
      '/update/0/user_id',
    ],
    ['a null title', ([a]) => ({ update: [{ id: a, title: null }] }), 422, '/update/0/title'],
    [
      'a bad version',
      ([a]) => ({ update: [{ id: a, title: 'x', version: '1' }] }),
      422,
      '/update/0/version',
    ],
    [
      'a null completed',
      ([a]) => ({ complete: [{ id: a, completed: null }] }),
      422,
      '/complete/0/completed',
    ],
    ['an unknown list', () => ({ create: [{ title: 'x' }], restore: [] }), 422, '/restore'],
    ['a list of numbers', () => ({ delete: [1] }), 422, '/delete/0'],
    ['no body', () => [], 422, ''],
  ]
  test.each(failures)(
    'with %s changes nothing, and the error has its pointer',
    async (_name, sent, status, pointer) => {
      const { ada, batch, ids } = await owner()
      const before = (await rowsOf(ada.id)).tasks
      const body = sent(ids)
      const withMore = status === 422 ? body : { create: [{ title: 'canary' }], ...body }

      const answer = await batch(withMore)

      expect([answer.status, answer.body.errors?.[0]?.pointer]).toEqual([status, pointer])
      expect(answer.body.errors[0].in).toBe('body')
      expect(answer.headers.get('etag')).toBe(status === 412 ? '"1"' : null)
      expect((await rowsOf(ada.id)).tasks).toEqual(before)
    },
  )

  test('with a task of another user is the 404 of a missing one, and changes nothing', async () => {
    const { here, ada, batch, ids } = await owner()
    const bob = await here.someone()
    const { body: theirs } = await bob.call('POST', '/api/tasks', { title: 'of Bob' })
    const before = [(await rowsOf(ada.id)).tasks, await rowsOf(bob.id)]

    for (const wanted of [
      {
        update: [
          { id: ids[0], title: 'x' },
          { id: theirs.id, title: 'x' },
        ],
      },
      {
        update: [
          { id: ids[0], title: 'x' },
          { id: theirs.id, version: 1, title: 'x' },
        ],
      },
      { complete: [{ id: ids[0] }, { id: theirs.id }] },
      { delete: [ids[0], theirs.id] },
    ]) {
      const { status, body } = await batch(wanted)
      expect([status, body.errors[0]]).toEqual([
        404,
        { in: 'body', pointer: `/${Object.keys(wanted)[0]}/1`, detail: 'no such task' },
      ])
    }
    expect([(await rowsOf(ada.id)).tasks, await rowsOf(bob.id)]).toEqual(before)
  })

  test('with a deleted task is 404', async () => {
    const { call, batch, ids } = await owner()
    await call('DELETE', `/api/tasks/${ids[0]}`)
    for (const wanted of [{ complete: [{ id: ids[0] }] }, { delete: [ids[0]] }])
      expect((await batch(wanted)).status).toBe(404)
  })

  test('compares each version with the one before the batch', async () => {
    const { batch, ids } = await owner()
    const update = (version: number) =>
      batch({ update: ids.map((id) => ({ id, version, title: 'x' })) })
    expect([(await update(1)).status, (await update(1)).status, (await update(2)).status]).toEqual([
      200, 412, 200,
    ])
  })

  test('60 concurrent batches on the same versions: one succeeds and 59 are 412', async () => {
    const { ada, batch, ids } = await owner()
    const answers = await Promise.all(
      Array.from({ length: 60 }, (_, n) =>
        batch({
          update: ids
            .toSorted(() => (n % 2 ? 1 : -1))
            .map((id) => ({ id, version: 1, title: `${n}` })),
          create: [{ title: `made by ${n}` }],
        }),
      ),
    )

    const statuses = answers.map(({ status }) => status)
    expect([
      statuses.filter((one) => one === 200).length,
      statuses.filter((one) => one === 412).length,
    ]).toEqual([1, 59])
    const { tasks } = await rowsOf(ada.id)
    expect(tasks).toHaveLength(7)
    expect(new Set(tasks.slice(0, 6).map(({ title }) => title)).size).toBe(1)
  })

  test('is never applied in part, also with concurrent changes of single tasks', async () => {
    const { batch, call, ids } = await owner()
    const answers = await Promise.all(
      Array.from({ length: 80 }, (_, n) =>
        n % 2
          ? call('PATCH', `/api/tasks/${ids[n % 6]}/complete`)
          : batch({ complete: ids.map((id) => ({ id })) }),
      ),
    )

    expect(answers.every(({ status }) => status === 200)).toBe(true)
    const versions = await Promise.all(
      ids.map(async (id) => (await call('GET', `/api/tasks/${id}`)).body.version),
    )
    expect(versions.reduce((sum, one) => sum + one, 0)).toBe(6 + 40 * 6 + 40)
  })
})
