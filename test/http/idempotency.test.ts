import { afterEach, describe, expect, test } from 'bun:test'
import { eq } from 'drizzle-orm'
import { idempotencyKeys } from '../../src/db/schema.ts'
import { purgeExpired } from '../../src/maintenance/purge.ts'
import { at, database, pass, realTime, rowsOf, type Someone, service } from '../support/service.ts'

afterEach(realTime)

const hour = 3_600_000
/** A token lifetime that is longer than the time that the tests pass. */
const long = { JWT_TTL_SECONDS: '2592000' }

const owner = async () => {
  const here = await service(long)
  const ada = await here.someone()
  const { body } = await ada.call('POST', '/api/tasks', { title: 'Buy milk' })
  return { ...here, ada, id: body.id as string, path: `/api/tasks/${body.id}` }
}
type Owner = Awaited<ReturnType<typeof owner>>

const keysOf = async (id: string) => {
  const { db } = await database()
  return db.select().from(idempotencyKeys).where(eq(idempotencyKeys.user_id, id))
}

type Send = {
  method: string
  path: (owner: Owner) => string
  body: unknown
  other: unknown
  status: number
}
const routes: Record<string, Send> = {
  create: {
    method: 'POST',
    path: () => '/api/tasks',
    body: {
      title: 'x "y" \\ \u0007 é 😀',
      tags: ['a,b', '"'],
      due_at: '2026-12-24T18:00:00+01:00',
    },
    other: { title: 'y' },
    status: 201,
  },
  toggle: {
    method: 'PATCH',
    path: ({ path }) => `${path}/complete`,
    body: undefined,
    other: { completed: true },
    status: 200,
  },
  complete: {
    method: 'PATCH',
    path: ({ path }) => `${path}/complete`,
    body: { completed: true },
    other: { completed: false },
    status: 200,
  },
  batch: {
    method: 'POST',
    path: () => '/api/tasks/batch',
    body: {
      create: [{ title: 'c' }, { title: 'b' }, { title: 'a', due_at: '2026-12-24T18:00:00Z' }],
    },
    other: { create: [{ title: 'c' }] },
    status: 200,
  },
  import: {
    method: 'POST',
    path: () => '/api/tasks/import',
    body: { tasks: [{ title: 'a' }, { title: 'b' }] },
    other: { tasks: [{ title: 'a' }] },
    status: 200,
  },
}
const send = (who: Someone, to: Send, person: Owner, key: string, body = to.body) =>
  who.call(to.method, to.path(person), body, { 'idempotency-key': key })

describe.each(Object.entries(routes))('a key on %s', (_name, to) => {
  test('returns the stored response to the same request, marked as a replay, without a second effect', async () => {
    const person = await owner()
    const first = await send(person.ada, to, person, 'k')
    const before = await rowsOf(person.ada.id)

    for (const key of ['k', '"k"', 'k']) {
      pass(1000)
      const again = await send(person.ada, to, person, key)
      expect([again.status, again.text]).toEqual([to.status, first.text])
      for (const name of ['etag', 'location', 'content-type'])
        expect(again.headers.get(name)).toBe(first.headers.get(name))
      expect(again.headers.get('idempotency-replayed')).toBe('true')
    }
    expect(first.status).toBe(to.status)
    expect(first.headers.get('idempotency-replayed')).toBeNull()
    expect((await rowsOf(person.ada.id)).tasks).toEqual(before.tasks)
  })

  test('is 422 for another body or If-Match, and changes nothing', async () => {
    const person = await owner()
    await send(person.ada, to, person, 'k')
    const before = (await rowsOf(person.ada.id)).tasks
    const key = { 'idempotency-key': 'k' }

    const responses = [
      await send(person.ada, to, person, 'k', to.other),
      await person.ada.call(to.method, to.path(person), to.body, { ...key, 'if-match': '"1"' }),
    ]
    for (const { status, body } of responses)
      expect([status, body.code]).toEqual([422, 'idempotency-mismatch'])
    expect((await rowsOf(person.ada.id)).tasks).toEqual(before)
  })

  test('is not stored for an ended session', async () => {
    const person = await owner()
    await person.ada.call('POST', '/api/auth/logout')

    const { status } = await send(person.ada, to, person, 'k')
    expect([status, await keysOf(person.ada.id)]).toEqual([401, []])
  })

  test('has no effect on the same key of another user', async () => {
    const person = await owner()
    const other = { ...person, ...(await owner()) }
    await send(person.ada, to, person, 'k')

    const { status, headers } = await send(other.ada, to, other, 'k')
    expect([status, headers.get('idempotency-replayed')]).toEqual([to.status, null])
  })

  test('in 50 concurrent requests has one effect, and each response is that of the effect or 409', async () => {
    const person = await owner()
    const { tasks: before } = await rowsOf(person.ada.id)
    const responses = await Promise.all(
      Array.from({ length: 50 }, () => send(person.ada, to, person, 'k')),
    )

    const succeeded = responses.filter(({ status }) => status === to.status)
    const first = succeeded.filter(({ headers }) => headers.get('idempotency-replayed') === null)
    expect(first).toHaveLength(1)
    expect(new Set(succeeded.map(({ text }) => text)).size).toBe(1)
    for (const { status } of responses) expect([to.status, 409]).toContain(status)
    const { tasks } = await rowsOf(person.ada.id)
    const created = { create: 1, batch: 3, import: 2 }[_name] ?? 0
    expect(tasks).toHaveLength(before.length + created)
    if (created === 0) expect(tasks[0]).toMatchObject({ version: 2, completed: true })
    expect(await keysOf(person.ada.id)).toHaveLength(1)
  })

  test('is 409 if the statement conflicts with another request of the key twice', async () => {
    const person = await owner()
    const conflict = Object.assign(new Error('conflict'), {
      code: '23505',
      constraint: 'idempotency_keys_user_id_route_key_pk',
    })
    const { call } = await service(long, { db: () => Promise.reject(conflict) })

    const { status, body } = await call(to.method, to.path(person), {
      body: to.body,
      token: person.ada.token,
      headers: { 'idempotency-key': 'k' },
    })

    expect([status, body.code]).toEqual([409, 'idempotency-in-flight'])
  })

  test('is valid for 24 hours; then it has a new effect, which replaces the old row', async () => {
    at('2026-05-01T00:00:00.000Z')
    const person = await owner()
    const first = await send(person.ada, to, person, 'k')

    pass(24 * hour - 1)
    expect((await send(person.ada, to, person, 'k')).headers.get('idempotency-replayed')).toBe(
      'true',
    )
    pass(1)
    const { status, headers } = await send(person.ada, to, person, 'k')
    expect([status, headers.get('idempotency-replayed')]).toEqual([to.status, null])
    expect(await keysOf(person.ada.id)).toEqual([
      expect.objectContaining({ expires_at: '2026-05-03T00:00:00.000Z' }),
    ])
    expect(first.status).toBe(to.status)
  })

  test('is 1 to 255 printable ASCII characters, otherwise 422', async () => {
    const person = await owner()
    const statusOf = async (key: string) => (await send(person.ada, to, person, key)).status

    for (const key of [
      'a',
      '"',
      '"a',
      '~!@#$%^&*()',
      'x'.repeat(255),
      `"${'y'.repeat(255)}"`,
      'a b',
    ])
      expect([key, await statusOf(key)]).toEqual([key, to.status])
    for (const key of ['', '""', 'é', 'a\tb', 'x'.repeat(256), `"${'x'.repeat(256)}"`]) {
      const { status, body } = await send(person.ada, to, person, key)
      expect([key, status, body.errors]).toEqual([
        key,
        422,
        [{ in: 'header', pointer: '/idempotency-key', detail: expect.any(String) }],
      ])
    }
  })
})

describe('a key', () => {
  test('belongs to one method and path: another route or task accepts the same key', async () => {
    const person = await owner()
    const other = await person.ada.call('POST', '/api/tasks', { title: 'Another' })
    const otherTask = { ...person, path: `/api/tasks/${other.body.id}` }
    for (const [to, target] of [
      [routes.create, person],
      [routes.batch, person],
      [routes.import, person],
      [routes.toggle, person],
      [routes.toggle, otherTask],
    ] as const) {
      if (!to) throw new Error('no such route')
      const { status, headers } = await send(person.ada, to, target, 'same')
      expect([status, headers.get('idempotency-replayed')]).toEqual([to.status, null])
    }
    expect(await keysOf(person.ada.id)).toHaveLength(5)
  })

  test('can be used again after a request that failed', async () => {
    const { ada, path } = await owner()
    const key = { 'idempotency-key': 'k' }
    const statusOf = async (method: string, where: string, body: unknown, headers = {}) =>
      (await ada.call(method, where, body, { ...key, ...headers })).status

    expect(await statusOf('POST', '/api/tasks', { title: '' })).toBe(422)
    expect(await statusOf('POST', '/api/tasks', { title: 'x' })).toBe(201)
    expect(await statusOf('PATCH', `${path}/complete`, undefined, { 'if-match': '"9"' })).toBe(412)
    expect(await statusOf('PATCH', `${path}/complete`, undefined)).toBe(200)
    const absent = Bun.randomUUIDv7()
    expect(
      await statusOf('POST', '/api/tasks/batch', { create: [{ title: 'x' }], delete: [absent] }),
    ).toBe(404)
    expect(await statusOf('POST', '/api/tasks/batch', { create: [{ title: 'x' }] })).toBe(200)
    expect(await statusOf('POST', '/api/tasks/import', { tasks: [{}] })).toBe(422)
    expect(await statusOf('POST', '/api/tasks/import', { tasks: [] })).toBe(200)
    expect(await statusOf('PATCH', `/api/tasks/${absent}/complete`, undefined)).toBe(404)
    expect(await keysOf(ada.id)).toHaveLength(4)
  })

  test('replays the stored response after the task was changed, deleted and erased', async () => {
    const person = await owner()
    const first = await send(person.ada, routes.create as Send, person, 'k')
    const path = `/api/tasks/${first.body.id}`
    await person.ada.call('PATCH', path, { title: 'changed' })
    await person.ada.call('DELETE', path)
    await person.ada.call('DELETE', `/api/tasks/trash/${first.body.id}`)

    const again = await send(person.ada, routes.create as Send, person, 'k')
    expect([again.status, again.text, again.headers.get('etag')]).toEqual([201, first.text, '"1"'])
    expect((await rowsOf(person.ada.id)).tasks).toHaveLength(1)
  })

  test('compares bodies by their members, not by their JSON text', async () => {
    const { ada } = await owner()
    const key = { 'idempotency-key': 'k', 'content-type': 'application/json' }
    const first = await ada.call('POST', '/api/tasks', '{"title":"x"}', key)
    const again = await ada.call('POST', '/api/tasks', ' { "title" : "\\u0078" } ', key)
    expect([again.status, again.text]).toEqual([201, first.text])
  })

  test('is 422 for another query', async () => {
    const { ada } = await owner()
    const key = { 'idempotency-key': 'a query' }
    const send = (path: string) => ada.call('POST', path, { tasks: [{ title: 'x' }] }, key)

    const { status } = await send('/api/tasks/import')
    const other = await send('/api/tasks/import?dry_run=false')

    expect([status, other.status, other.body.code]).toEqual([200, 422, 'idempotency-mismatch'])
    expect((await rowsOf(ada.id)).tasks).toHaveLength(2)
  })

  test('is not stored for a dry run', async () => {
    const { ada } = await owner()
    const key = { 'idempotency-key': 'k' }
    const dry = await ada.call(
      'POST',
      '/api/tasks/import?dry_run=true',
      { tasks: [{ title: 'x' }] },
      key,
    )
    const real = await ada.call('POST', '/api/tasks/import', { tasks: [{ title: 'x' }] }, key)
    expect([dry.body, real.body.imported]).toEqual([{ valid: 1, dropped: [] }, 1])
  })

  test('of a batch replays each list in the order of the request', async () => {
    const { ada } = await owner()
    const ids: string[] = []
    for (const title of ['a', 'b', 'c', 'd', 'e', 'f'])
      ids.push((await ada.call('POST', '/api/tasks', { title })).body.id)
    const [a = '', b = '', c = '', d = '', e = '', f = ''] = ids
    const batch = {
      create: [{ title: '2' }, { title: '1' }],
      update: [
        { id: b, title: 'B' },
        { id: a, title: 'A' },
      ],
      complete: [{ id: d }, { id: c }],
      delete: [f, e],
    }
    const first = await ada.call('POST', '/api/tasks/batch', batch, { 'idempotency-key': 'k' })
    const again = await ada.call('POST', '/api/tasks/batch', batch, { 'idempotency-key': 'k' })

    expect(first.body.deleted).toEqual([f, e])
    expect([again.status, again.text]).toEqual([200, first.text])
  })

  test('is deleted by maintenance after it expires, not before', async () => {
    at('2020-01-01T00:00:00.000Z')
    const person = await owner()
    await send(person.ada, routes.create as Send, person, 'old')
    pass(2 * hour)
    await send(person.ada, routes.create as Send, person, 'young')
    pass(22 * hour)
    const { db } = await database()

    await purgeExpired(db, 30)

    expect((await keysOf(person.ada.id)).map(({ key }) => key)).toEqual(['young'])
  })
})
