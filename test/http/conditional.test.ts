import { afterEach, describe, expect, test } from 'bun:test'
import { pass, realTime, rowsOf, type Someone, service } from '../support/service.ts'

afterEach(realTime)

const everything = {
  title: 'Buy milk',
  description: 'Two litres',
  priority: 'urgent',
  due_at: '2026-12-24T18:00:00.000Z',
  tags: ['home', 'shop'],
}

/** Shared by the tests, which do not depend on the state of a service. */
let opened: ReturnType<typeof service> | undefined

/** A user with a task of version 3, live or in the trash. */
const owner = async (trashed = false) => {
  opened ??= service()
  const here = await opened
  const ada = await here.someone()
  const { body } = await ada.call('POST', '/api/tasks', everything)
  const path = `/api/tasks/${body.id}`
  await ada.call('PATCH', path, { title: 'Buy more milk' })
  if (trashed) await ada.call('DELETE', path)
  else await ada.call('PATCH', path, { title: 'Buy milk' })
  return { ...here, ada, id: body.id as string, path, call: ada.call }
}
const current = '"3"'

type Owner = Awaited<ReturnType<typeof owner>>
type Write = { trashed: boolean; send: (owner: Owner, match: string) => ReturnType<Owner['call']> }
const writes: Record<string, Write> = {
  PUT: {
    trashed: false,
    send: ({ call, path }, match) =>
      call('PUT', path, { title: 'x', completed: true }, { 'if-match': match }),
  },
  PATCH: {
    trashed: false,
    send: ({ call, path }, match) => call('PATCH', path, { title: 'x' }, { 'if-match': match }),
  },
  'a toggle': {
    trashed: false,
    send: ({ call, path }, match) =>
      call('PATCH', `${path}/complete`, undefined, { 'if-match': match }),
  },
  'a toggle with a key': {
    trashed: false,
    send: ({ call, path }, match) =>
      call('PATCH', `${path}/complete`, undefined, { 'if-match': match, 'idempotency-key': 'k' }),
  },
  DELETE: {
    trashed: false,
    send: ({ call, path }, match) => call('DELETE', path, undefined, { 'if-match': match }),
  },
  restore: {
    trashed: true,
    send: ({ call, path }, match) =>
      call('POST', `${path}/restore`, undefined, { 'if-match': match }),
  },
}
const eachWrite = Object.entries(writes)

describe.each(eachWrite)('If-Match on %s', (_name, { trashed, send }) => {
  test.each([
    '"3"',
    ' "3" ',
    '"1", "3"',
    '"3","4"',
    '"a,b", "3"',
    'W/"3", "3"',
    ', "3" ,',
    '*',
    ' * ',
  ])('of %s is 200, and the task is written once', async (match) => {
    const person = await owner(trashed)
    const { status } = await send(person, match)

    expect(status).toBe(200)
    const [row] = (await rowsOf(person.ada.id)).tasks
    expect(row?.version).toBe(4)
  })

  test.each([
    '"2"',
    '"4"',
    '"1", "2"',
    'W/"3"',
    'W/"3", W/"4"',
    '"03"',
    '"3_"',
    '""',
    '"x"',
    '"a,3"',
    '"9999999999"',
    '"99999999999999999999"',
    '"-3"',
    '"3.0"',
    '"*"',
  ])('of %s is 412 with the current ETag, and changes nothing', async (match) => {
    const person = await owner(trashed)
    const before = (await rowsOf(person.ada.id)).tasks

    const { status, headers, body } = await send(person, match)

    expect([status, body.code, headers.get('etag')]).toEqual([412, 'version-mismatch', current])
    expect((await rowsOf(person.ada.id)).tasks).toEqual(before)
  })

  test.each([
    '3',
    '"3',
    '3"',
    '"3" "4"',
    "'3'",
    '"3", *',
    '*, *',
    'W/3',
    'w/"3"',
    '"3";',
    '""3""',
    ',',
  ])('of %s is 400, and changes nothing', async (match) => {
    const person = await owner(trashed)
    const before = (await rowsOf(person.ada.id)).tasks

    const { status, body } = await send(person, match)

    expect([status, body.code]).toEqual([400, 'malformed-request'])
    expect((await rowsOf(person.ada.id)).tasks).toEqual(before)
  })

  test('of any value is 404 for a missing task', async () => {
    const person = await owner(!trashed)
    for (const match of ['"3"', '*', '"1"'])
      expect((await send(person, match)).body.code).toBe('task-not-found')
  })
})

test('each response for a live task has a strong ETag of its version', async () => {
  const { call, path } = await owner()
  const etagOf = async (method: string, where: string, body?: unknown) => {
    const response = await call(method, where, body)
    expect(response.status).toBeLessThan(300)
    return response.headers.get('etag')
  }

  expect(await etagOf('POST', '/api/tasks', { title: 'x' })).toBe('"1"')
  expect(await etagOf('GET', path)).toBe('"3"')
  expect(await etagOf('HEAD', path)).toBe('"3"')
  expect(await etagOf('PUT', path, { title: 'x', completed: false })).toBe('"4"')
  expect(await etagOf('PATCH', path, { title: 'y' })).toBe('"5"')
  expect(await etagOf('PATCH', `${path}/complete`)).toBe('"6"')
  expect(await etagOf('DELETE', path)).toBeNull()
  expect(await etagOf('POST', `${path}/restore`)).toBe('"8"')
})

describe('If-None-Match', () => {
  test.each(['"3"', 'W/"3"', '"1", "3"', 'W/"1", W/"3"', '*', ' * '])(
    'of %s is 304 with the ETag and without a body, for HEAD too',
    async (match) => {
      const { call, path } = await owner()
      for (const method of ['GET', 'HEAD']) {
        const { status, headers, text } = await call(method, path, undefined, {
          'if-none-match': match,
        })

        expect([status, text, headers.get('etag')]).toEqual([304, '', current])
        expect(headers.get('cache-control')).toBe('private, no-cache')
        expect(headers.get('ratelimit-limit')).toBe('100000')
      }
    },
  )

  test.each(['"2"', 'W/"4"', '""', '"x", "y"', '"33"'])('of %s is 200', async (match) => {
    const { call, path } = await owner()
    const { status, body } = await call('GET', path, undefined, { 'if-none-match': match })
    expect([status, body.version]).toEqual([200, 3])
  })

  test.each(['3', '"3', '*, "3"', 'W/3'])('of %s is 400', async (match) => {
    const { call, path } = await owner()
    expect((await call('GET', path, undefined, { 'if-none-match': match })).status).toBe(400)
  })

  test('is 404 for a deleted task, also with *', async () => {
    const { call, path } = await owner(true)
    for (const match of ['"3"', '*'])
      expect((await call('GET', path, undefined, { 'if-none-match': match })).status).toBe(404)
  })

  test('of an earlier ETag is 200 after any write, also one that changes no member', async () => {
    const { call, path } = await owner()
    await call('PATCH', path, { title: 'Buy milk' })
    expect((await call('GET', path, undefined, { 'if-none-match': current })).status).toBe(200)
  })
})

describe('a merge patch', () => {
  const members = {
    title: 'New',
    description: 'new',
    priority: 'low',
    due_at: '2027-01-01T00:00:00.000Z',
    tags: ['new'],
    completed: true,
  }

  test.each(Object.entries(members))(
    'of %s alone leaves all other members unchanged',
    async (name, value) => {
      const { call, path } = await owner()
      const { body: before } = await call('GET', path)

      pass(1000)
      const { status, body } = await call('PATCH', path, { [name]: value })

      expect(status).toBe(200)
      const { updated_at } = body
      const completed_at = name === 'completed' ? updated_at : null
      expect(body).toEqual({ ...before, [name]: value, completed_at, version: 4, updated_at })
      expect(updated_at > before.updated_at).toBe(true)
      expect((await call('GET', path)).body).toEqual(body)
    },
  )

  test('changes several members, and null clears', async () => {
    const { call, path } = await owner()
    const { body } = await call('PATCH', path, { ...members, description: null, due_at: null })
    expect(body).toMatchObject({ ...members, description: null, due_at: null })
  })

  test('replaces the list of tags, and can empty it', async () => {
    const { call, path } = await owner()
    expect((await call('PATCH', path, { tags: ['shop'] })).body.tags).toEqual(['shop'])
    expect((await call('PATCH', path, { tags: [] })).body.tags).toEqual([])
    expect((await call('PATCH', path, { description: '' })).body.description).toBe('')
  })

  test('of completed sets completed_at when the task is completed and clears it when it is reopened', async () => {
    const { call, path } = await owner()
    const patch = async (body: object) => {
      pass(1000)
      return (await call('PATCH', path, body)).body
    }
    const done = await patch({ completed: true })
    const renamed = await patch({ title: 'x' })
    const again = await patch({ completed: true })
    const reopened = await patch({ completed: false })

    expect(done.completed_at).toBe(done.updated_at)
    expect([renamed.completed_at, again.completed_at]).toEqual([done.updated_at, done.updated_at])
    expect([reopened.completed, reopened.completed_at]).toEqual([false, null])
  })

  test('that is empty changes nothing, and returns the task with its ETag', async () => {
    const { call, path, ada } = await owner()
    const before = (await rowsOf(ada.id)).tasks
    const read = await call('GET', path)

    const patched = await call('PATCH', path, {})
    const conditional = await call('PATCH', path, {}, { 'if-match': '"3"' })
    const refused = await call('PATCH', path, {}, { 'if-match': '"2"' })
    const { updated } = (
      await call('POST', '/api/tasks/batch', { update: [{ id: read.body.id, version: 3 }] })
    ).body

    for (const { status, body, headers } of [patched, conditional])
      expect([status, body, headers.get('etag')]).toEqual([200, read.body, '"3"'])
    expect([refused.status, refused.headers.get('etag')]).toEqual([412, '"3"'])
    expect(updated).toEqual([read.body])
    expect((await rowsOf(ada.id)).tasks).toEqual(before)
    expect((await call('PATCH', `/api/tasks/${Bun.randomUUIDv7()}`, {})).status).toBe(404)
    await ada.call('POST', '/api/auth/logout')
    expect((await call('PATCH', path, {})).status).toBe(401)
  })

  test.each([
    [{ title: null }, '/title'],
    [{ title: ' ' }, '/title'],
    [{ priority: null }, '/priority'],
    [{ tags: null }, '/tags'],
    [{ tags: ['a', 'a'] }, '/tags'],
    [{ completed: null }, '/completed'],
    [{ completed_at: null }, '/completed_at'],
    [{ version: 3 }, '/version'],
    [{ id: 'x', title: 'x' }, '/id'],
    [{ deleted_at: null }, '/deleted_at'],
    [[], ''],
    [null, ''],
    ['title', ''],
  ])('of %j is 422 with its pointer, and changes nothing', async (sent, pointer) => {
    const { call, path, ada } = await owner()
    const before = (await rowsOf(ada.id)).tasks

    const { status, body } = await call('PATCH', path, JSON.stringify(sent), {
      'content-type': 'application/merge-patch+json',
    })

    expect([status, body.errors?.[0]?.pointer]).toEqual([422, pointer])
    expect((await rowsOf(ada.id)).tasks).toEqual(before)
  })

  test.each([
    ['application/merge-patch+json', 200],
    ['application/json', 200],
    ['application/merge-patch+json; charset=utf-8', 200],
    ['application/json-patch+json', 415],
    ['text/plain', 415],
  ])('of the media type %s is %d', async (type, expected) => {
    const { call, path } = await owner()
    const sent = await call('PATCH', path, '{"title":"x"}', { 'content-type': type })
    expect(sent.status).toBe(expected)
  })
})

describe('concurrent requests', () => {
  test('100 PUT with the same If-Match: one is 200 and 99 are 412', async () => {
    const person = await owner()
    const responses = await Promise.all(
      Array.from({ length: 100 }, (_, n) =>
        person.call(
          'PUT',
          person.path,
          { title: `${n}`, completed: false },
          { 'if-match': current },
        ),
      ),
    )

    const succeeded = responses.filter(({ status }) => status === 200)
    const refused = responses.filter(({ status }) => status === 412)
    expect([succeeded.length, refused.length]).toEqual([1, 99])
    for (const { headers } of refused) expect(headers.get('etag')).toBe('"4"')
    expect((await person.call('GET', person.path)).body).toEqual(succeeded[0]?.body)
  })

  const rounds = 250
  test(`DELETE and PUT, ${rounds} times, restore no task and lose no write`, async () => {
    const { someone } = await service()
    const ada = await someone()

    for (let round = 0; round < rounds; round++) {
      const { body } = await ada.call('POST', '/api/tasks', { title: 'x' })
      const path = `/api/tasks/${body.id}`
      const put = () => ada.call('PUT', path, { title: 'y', completed: true })
      const remove = () => ada.call('DELETE', path)
      const [one, other] = await Promise.all(round % 2 ? [put(), remove()] : [remove(), put()])
      const [written, removed] = round % 2 ? [one, other] : [other, one]

      expect(removed?.status).toBe(200)
      expect([200, 404]).toContain(written?.status ?? 0)
      expect((await ada.call('GET', path)).status).toBe(404)
    }
    const { tasks } = await rowsOf(ada.id)
    expect(tasks.filter(({ deleted_at }) => deleted_at === null)).toEqual([])
    for (const { title, version } of tasks) expect(version).toBe(title === 'y' ? 3 : 2)
  })

  test('one of three DELETE and one of three restores succeeds, the others are 404', async () => {
    const ada: Someone = await (await service()).someone()
    for (let round = 0; round < 30; round++) {
      const { body } = await ada.call('POST', '/api/tasks', { title: 'x' })
      const path = `/api/tasks/${body.id}`
      const removed = await Promise.all([1, 2, 3].map(() => ada.call('DELETE', path)))
      const statuses = removed.map(({ status }) => status).sort()
      expect(statuses).toEqual([200, 404, 404])

      const restored = await Promise.all([1, 2, 3].map(() => ada.call('POST', `${path}/restore`)))
      expect(restored.map(({ status }) => status).sort()).toEqual([200, 404, 404])
      expect((await ada.call('GET', path)).body.version).toBe(3)
    }
  })

  test('101 toggles change a task 101 times, and of 51 with the same If-Match and different keys one succeeds', async () => {
    const { call, path } = await owner()
    const responses = await Promise.all(
      Array.from({ length: 101 }, () => call('PATCH', `${path}/complete`)),
    )
    expect(responses.filter(({ body }) => body.completed)).toHaveLength(51)
    expect((await call('GET', path)).body).toMatchObject({ completed: true, version: 104 })

    const keyed = await Promise.all(
      Array.from({ length: 51 }, (_, n) =>
        call('PATCH', `${path}/complete`, undefined, {
          'if-match': '"104"',
          'idempotency-key': `${n}`,
        }),
      ),
    )
    expect(keyed.filter(({ status }) => status === 200)).toHaveLength(1)
    expect(keyed.filter(({ status }) => status === 412)).toHaveLength(50)
    expect((await call('GET', path)).body).toMatchObject({ completed: false, version: 105 })
  })
})
