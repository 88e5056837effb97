import { afterEach, describe, expect, test } from 'bun:test'
import { pass, realTime, rowsOf, type Someone, service } from '../support/service.ts'

afterEach(realTime)

const instant = /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/
const members = [
  'id',
  'user_id',
  'title',
  'description',
  'completed',
  'completed_at',
  'priority',
  'due_at',
  'due_on',
  'tags',
  'list_id',
  'recurrence',
  'reminders',
  'series_id',
  'version',
  'created_at',
  'updated_at',
  'position',
]
const everything = {
  title: 'Buy milk',
  description: 'Two litres',
  priority: 'urgent',
  due_at: '2026-12-24T18:00:00.000Z',
  tags: ['home', 'shop'],
}

const ada = async (task: object = everything) => {
  const here = await service()
  const person = await here.someone()
  const { body } = await person.call('POST', '/api/tasks', task)
  return { ...here, ...person, task: body, path: `/api/tasks/${body.id}` }
}

describe('a new task', () => {
  test('has its title and the defaults, in the order of the contract, and is where Location says', async () => {
    const { id, call } = await ada()

    const { status, headers, body } = await call('POST', '/api/tasks', { title: 'x' })

    expect(status).toBe(201)
    expect(Object.keys(body)).toEqual(members)
    expect(body).toEqual({
      id: expect.stringMatching(
        /^[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/,
      ),
      user_id: id,
      title: 'x',
      description: null,
      completed: false,
      completed_at: null,
      priority: 'normal',
      due_at: null,
      due_on: null,
      tags: [],
      list_id: null,
      recurrence: null,
      reminders: [],
      series_id: null,
      version: 1,
      created_at: expect.stringMatching(instant),
      updated_at: body.created_at,
      position: expect.stringMatching(/^\d{10}$/),
    })
    expect(Math.abs(Date.parse(body.created_at) - Date.now())).toBeLessThan(5000)
    expect(headers.get('location')).toBe(`/api/tasks/${body.id}`)
    expect(headers.get('etag')).toBe('"1"')
    expect((await call('GET', `/api/tasks/${body.id}`)).body).toEqual(body)
  })

  test('has the sent members', async () => {
    const { task } = await ada()

    expect(task).toMatchObject(everything)
  })

  test('accepts null for description and due date', async () => {
    const { call } = await ada()

    const { body } = await call('POST', '/api/tasks', {
      title: 'x',
      description: null,
      due_at: null,
    })
    expect([body.description, body.due_at]).toEqual([null, null])
  })
})

describe('a task', () => {
  test('is the same in the response to its creation, alone and in the list', async () => {
    const { call, task, path } = await ada()
    const read = await call('GET', path)
    const listed = await call('GET', '/api/tasks')

    expect([read.status, read.body, read.headers.get('etag')]).toEqual([200, task, '"1"'])
    expect(listed.body).toEqual({ tasks: [task], next_cursor: null })
    expect(Object.keys(listed.body.tasks[0])).toEqual(members)
    expect([read.headers.get('link'), listed.headers.get('link')]).toEqual([null, null])
  })

  test('is replaced completely: absent members get their defaults', async () => {
    const { call, task, path } = await ada()

    pass(1000)
    const { status, headers, body } = await call('PUT', path, { title: 'New', completed: false })

    expect(status).toBe(200)
    expect(body).toEqual({
      ...task,
      title: 'New',
      description: null,
      priority: 'normal',
      due_at: null,
      tags: [],
      version: 2,
      updated_at: expect.stringMatching(instant),
    })
    expect(body.updated_at > task.updated_at).toBe(true)
    expect(headers.get('etag')).toBe('"2"')
    expect((await call('GET', path)).body).toEqual(body)
  })

  test('is replaced by a title alone: all other members get their defaults', async () => {
    const { call, path } = await ada()
    const full = { title: 'x', completed: true, priority: 'high', tags: ['a'], description: 'd' }
    await call('PUT', path, full)

    const { status, body } = await call('PUT', path, { title: 'y' })

    const defaults = { completed: false, completed_at: null, priority: 'normal', tags: [] }
    expect([status, body]).toMatchObject([200, { title: 'y', description: null, ...defaults }])
  })

  test('can be sent back as it was read', async () => {
    const { call, path } = await ada()
    const full = { title: 'x', completed: true, priority: 'high', tags: ['a'], description: 'd' }
    await call('PUT', path, full)
    const read = (await call('GET', path)).body

    const { status, body } = await call('PUT', path, read)

    const { updated_at } = body
    expect([status, body]).toEqual([200, { ...read, version: read.version + 1, updated_at }])
  })

  test('is not replaced without a title', async () => {
    const { call, task, path } = await ada()

    const { status, body } = await call('PUT', path, { completed: true })

    expect([status, body.errors]).toEqual([
      422,
      [{ in: 'body', pointer: '/title', detail: 'is required' }],
    ])
    expect((await call('GET', path)).body).toEqual(task)
  })

  test('increments its version with each accepted write, also without a change, and with no refused write', async () => {
    const { call, path } = await ada()
    const same = { ...everything, completed: false }
    const etags: (string | null)[] = []

    for (const [method, where, body] of [
      ['PUT', path, same],
      ['PUT', path, same],
      ['PUT', path, { title: '' }],
      ['PATCH', `${path}/complete`, undefined],
      ['PATCH', `${path}/complete`, { completed: true }],
      ['PATCH', `${path}/complete`, {}],
    ] as const)
      etags.push((await call(method, where, body)).headers.get('etag'))

    expect(etags).toEqual(['"2"', '"3"', null, '"4"', '"5"', null])
    expect((await call('GET', path)).body.version).toBe(5)
  })

  test('keeps completed_at while it is completed, and loses it when it is reopened', async () => {
    const { call, path, task } = await ada()
    const put = async (completed: boolean) => {
      pass(1000)
      return (await call('PUT', path, { title: 'x', completed })).body
    }

    const done = await put(true)
    const still = await put(true)
    expect(done.completed_at).toBe(done.updated_at)
    expect(still.completed_at).toBe(done.completed_at)
    expect(still.updated_at > done.updated_at).toBe(true)
    pass(1000)
    await call('PATCH', `${path}/complete`, { completed: true })
    expect((await call('GET', path)).body.completed_at).toBe(done.completed_at)
    expect((await put(false)).completed_at).toBeNull()
    expect((await put(true)).completed_at > done.completed_at).toBe(true)
    expect((await call('GET', path)).body.created_at).toBe(task.created_at)
  })
})

describe('completion', () => {
  test('toggles without a body, and sets with one', async () => {
    const { call, path } = await ada()
    const complete = async (body?: unknown) => {
      const answer = await call('PATCH', `${path}/complete`, body)
      return [answer.status, JSON.stringify(answer.body), answer.headers.get('etag')]
    }
    const expected = (completed: boolean) => JSON.stringify({ success: true, completed })

    expect(await complete()).toEqual([200, expected(true), '"2"'])
    expect(await complete()).toEqual([200, expected(false), '"3"'])
    expect(await complete({ completed: false })).toEqual([200, expected(false), '"4"'])
    expect(await complete({ completed: true })).toEqual([200, expected(true), '"5"'])
    expect((await complete({}))[0]).toBe(422)
    expect((await complete({ completed: null }))[0]).toBe(422)
    expect((await call('GET', path)).body).toMatchObject({ completed: true, version: 5 })
  })

  test('101 concurrent toggles change it 101 times', async () => {
    const { call, path } = await ada()

    const answers = await Promise.all(
      Array.from({ length: 101 }, () => call('PATCH', `${path}/complete`)),
    )

    expect(answers.filter(({ status, body }) => status === 200 && body.completed)).toHaveLength(51)
    expect(answers.filter(({ status, body }) => status === 200 && !body.completed)).toHaveLength(50)
    const etags = answers.map(({ headers }) => Number(headers.get('etag')?.slice(1, -1)))
    expect(etags.sort((a, b) => a - b)).toEqual(Array.from({ length: 101 }, (_, at) => at + 2))
    expect((await call('GET', path)).body).toMatchObject({ completed: true, version: 102 })
  })
})

describe('deletion', () => {
  test('succeeds once; then the task is 404', async () => {
    const { call, path, id } = await ada()

    const { status, headers, body } = await call('DELETE', path)
    expect([status, body, headers.get('etag')]).toEqual([200, { success: true }, null])
    const [deleted] = (await rowsOf(id)).tasks
    expect(deleted).toMatchObject({ title: everything.title, version: 2 })
    expect(deleted?.deleted_at).toMatch(instant)

    pass(1000)
    for (const [method, where, sent] of [
      ['DELETE', path, undefined],
      ['GET', path, undefined],
      ['PUT', path, { title: 'x', completed: true }],
      ['PATCH', `${path}/complete`, undefined],
      ['PATCH', `${path}/complete`, { completed: true }],
    ] as const) {
      const answer = await call(method, where, sent)
      expect([method, answer.status, answer.body.code]).toEqual([method, 404, 'task-not-found'])
    }
    expect((await call('GET', '/api/tasks')).body.tasks).toEqual([])
    expect((await rowsOf(id)).tasks).toEqual(deleted ? [deleted] : [])
  })

  test('concurrent with writes restores nothing', async () => {
    const { call, id } = await ada()

    for (let round = 0; round < 20; round++) {
      const { body } = await call('POST', '/api/tasks', { title: 'x' })
      const path = `/api/tasks/${body.id}`
      const [deleted, put, toggled] = await Promise.all([
        call('DELETE', path),
        call('PUT', path, { title: 'y', completed: true }),
        call('PATCH', `${path}/complete`),
      ])
      expect(deleted.status).toBe(200)
      expect(put.status).toBeOneOf([200, 404])
      expect(toggled.status).toBeOneOf([200, 404])
      expect((await call('GET', path)).status).toBe(404)
    }
    const { tasks } = await rowsOf(id)
    expect(tasks.filter(({ deleted_at }) => deleted_at === null)).toHaveLength(1)
  })

  test('two concurrent deletions succeed once', async () => {
    const { call, path } = await ada()

    const answers = await Promise.all(Array.from({ length: 10 }, () => call('DELETE', path)))
    expect(answers.map(({ status }) => status).sort()).toEqual([200, ...Array(9).fill(404)])
  })
})

describe('text', () => {
  test.each([
    "'; drop table tasks; --",
    "' or '1'='1",
    '" or ""="',
    "\\'; select pg_sleep(10); --",
    '$1 $2 {{x}} %s %n',
    '{}',
    'NULL',
    'null',
    '{a,b}',
    '"quoted"',
    'a,b',
    'back\\slash',
    '\\',
    '\\"',
    "'",
    '%_\\',
    '  around  ',
    'two\nlines\r\n\ttabbed',
    '<script>alert(1)</script>',
    '=1+1',
    '\u200b\u202e\ufeff zero width',
    'e\u0301 is not \u00e9',
    '👨‍👩‍👧‍👦 🏳️‍🌈 😀',
    '\u0001\u001f\u007f',
    '\uffff\ufffe',
    '日本語 العربية',
    '__proto__',
  ])('%j is stored unchanged in every member', async (text) => {
    const { call } = await ada()
    const sent = { title: text, description: text, tags: [text, `${text}!`] }

    const created = (await call('POST', '/api/tasks', sent)).body
    const put = await call('PUT', `/api/tasks/${created.id}`, { ...sent, completed: true })
    const listed = (await call('GET', '/api/tasks?limit=1')).body.tasks[0]

    const patched = (await call('PATCH', `/api/tasks/${created.id}`, sent)).body
    const batched = (await call('POST', '/api/tasks/batch', { create: [sent] })).body.created[0]
    const synced = (await call('GET', '/api/tasks/changes')).body.changes.at(-1).task
    const tagged = await call('GET', `/api/tasks?tag=${encodeURIComponent(text)}`)

    for (const task of [created, put.body, listed, patched, batched, synced])
      expect(task).toMatchObject(sent)
    expect(tagged.body.tasks).toHaveLength(2)
  })
})

describe('a due date', () => {
  test.each([
    ['2026-01-01T00:00:00Z', '2026-01-01T00:00:00.000Z'],
    ['2026-01-01t00:00:00z', '2026-01-01T00:00:00.000Z'],
    ['2026-01-01T00:00:00.5Z', '2026-01-01T00:00:00.500Z'],
    ['2026-01-01T00:00:00.05Z', '2026-01-01T00:00:00.050Z'],
    ['2026-01-01T00:00:00.999Z', '2026-01-01T00:00:00.999Z'],
    ['2026-01-01T02:00:00+02:00', '2026-01-01T00:00:00.000Z'],
    ['2025-12-31T19:00:00-05:00', '2026-01-01T00:00:00.000Z'],
    ['2026-01-01T05:45:00+05:45', '2026-01-01T00:00:00.000Z'],
    ['2026-01-01T00:00:00-00:00', '2026-01-01T00:00:00.000Z'],
    ['2026-01-01T23:59:00+23:59', '2026-01-01T00:00:00.000Z'],
    ['2025-12-31T00:01:00-23:59', '2026-01-01T00:00:00.000Z'],
    ['2024-02-29T12:00:00Z', '2024-02-29T12:00:00.000Z'],
    ['1970-01-01T00:00:00Z', '1970-01-01T00:00:00.000Z'],
    ['1583-10-15T00:00:00Z', '1583-10-15T00:00:00.000Z'],
    ['0001-01-01T00:00:00Z', '0001-01-01T00:00:00.000Z'],
    ['0001-01-01T01:00:00+01:00', '0001-01-01T00:00:00.000Z'],
    ['0099-12-31T23:59:59.999Z', '0099-12-31T23:59:59.999Z'],
    ['9999-12-31T23:59:59.999Z', '9999-12-31T23:59:59.999Z'],
    ['9999-12-31T22:59:59-01:00', '9999-12-31T23:59:59.000Z'],
  ])('%s is %s in every route', async (sent, stored) => {
    const { call } = await ada()

    const created = (await call('POST', '/api/tasks', { title: 'x', due_at: sent })).body
    const path = `/api/tasks/${created.id}`
    const put = (await call('PUT', path, { title: 'x', completed: false, due_at: sent })).body
    const read = (await call('GET', path)).body
    const listed = (await call('GET', '/api/tasks?limit=1')).body.tasks[0]

    expect([created, put, read, listed].map(({ due_at }) => due_at)).toEqual(Array(4).fill(stored))
    const patched = (await call('PATCH', path, { due_at: sent })).body
    const batched = await call('POST', '/api/tasks/batch', {
      create: [{ title: 'y', due_at: sent }],
      update: [{ id: created.id, due_at: sent }],
    })
    const record = {
      title: 'z',
      completed: true,
      completed_at: sent,
      created_at: sent,
      due_at: sent,
    }
    const imported = await call('POST', '/api/tasks/import', { tasks: [record] })
    const around = `due_after=${encodeURIComponent(sent)}`
    const filtered = await call(
      'GET',
      `/api/tasks?${around}&updated_after=${encodeURIComponent(sent)}`,
    )

    expect(patched.due_at).toBe(stored)
    expect([...batched.body.created, ...batched.body.updated].map(({ due_at }) => due_at)).toEqual([
      stored,
      stored,
    ])
    expect(imported.body).toMatchObject({ imported: 1 })
    const all = (await call('GET', '/api/tasks')).body.tasks
    const last = all.find(({ title }: { title: string }) => title === 'z')
    expect([last.due_at, last.completed_at, last.created_at]).toEqual([stored, stored, stored])
    expect(filtered.status).toBe(200)
    expect(
      filtered.body.tasks.filter(({ due_at }: { due_at: string }) => due_at === stored),
    ).toEqual([])
  })
})

describe('the list', () => {
  const titles = Array.from({ length: 23 }, (_, at) => `${at}`)
  const fill = async ({ call }: Someone, all = titles) => {
    for (const title of all) await call('POST', '/api/tasks', { title })
  }
  const walk = async ({ call }: Someone, limit: number, between = async () => {}) => {
    const pages: string[][] = []
    let next: string | null = `/api/tasks?limit=${limit}`
    while (next !== null) {
      const { status, headers, body } = await call('GET', next)
      expect(status).toBe(200)
      pages.push(body.tasks.map(({ title }: { title: string }) => title))
      const link = /^<(\/api\/tasks\?[^>]+)>; rel="next"$/.exec(headers.get('link') ?? '')?.[1]
      expect(link !== undefined).toBe(body.next_cursor !== null)
      if (link !== undefined)
        expect(Object.fromEntries(new URLSearchParams(link.split('?')[1]))).toEqual({
          limit: `${limit}`,
          cursor: body.next_cursor,
        })
      next = link ?? null
      await between()
    }
    return pages
  }

  test.each([1, 2, 5, 22, 23, 24, 200])(
    'in pages of %d has no gap or repeat, newest first',
    async (limit) => {
      const { someone } = await service()
      const person = await someone()
      await fill(person)

      const pages = await walk(person, limit)

      expect(pages.flat()).toEqual(titles.toReversed())
      expect(pages).toHaveLength(Math.max(1, Math.ceil(23 / limit)))
    },
  )

  test('has 50 tasks by default, and at most 200', async () => {
    const { someone } = await service()
    const person = await someone()
    await fill(
      person,
      Array.from({ length: 201 }, (_, at) => `${at}`),
    )

    const sizes = async (query: string) => {
      const { body } = await person.call('GET', `/api/tasks${query}`)
      return [body.tasks.length, body.next_cursor !== null]
    }

    expect(await sizes('')).toEqual([50, true])
    expect(await sizes('?limit=200')).toEqual([200, true])
    const { next_cursor } = (await person.call('GET', '/api/tasks?limit=200')).body
    expect(await sizes(`?limit=200&cursor=${next_cursor}`)).toEqual([1, false])
  })

  test('is empty without tasks', async () => {
    const { someone } = await service()
    const { call } = await someone()

    const { status, headers, body } = await call('GET', '/api/tasks')
    expect([status, body, headers.get('link')]).toEqual([
      200,
      { tasks: [], next_cursor: null },
      null,
    ])
  })

  test('pages through tasks of the same millisecond', async () => {
    const { someone } = await service()
    const person = await someone()
    pass(0)
    await Promise.all(titles.map((title) => person.call('POST', '/api/tasks', { title })))
    realTime()

    const seen = (await walk(person, 4)).flat()
    expect(seen.toSorted()).toEqual(titles.toSorted())
    const all = await walk(person, 200)
    expect(seen).toEqual(all.flat())
  })

  test('contains each remaining task exactly once during writes', async () => {
    const { someone } = await service()
    const person = await someone()
    await fill(person)
    const { tasks } = (await person.call('GET', '/api/tasks?limit=200')).body
    const toDelete = tasks.filter((_: unknown, at: number) => at % 5 === 0)

    const seen = await walk(person, 3, async () => {
      const gone = toDelete.pop()
      if (gone) await person.call('DELETE', `/api/tasks/${gone.id}`)
      await person.call('POST', '/api/tasks', { title: 'new' })
      await person.call('PATCH', `/api/tasks/${tasks[3].id}/complete`)
    })

    const staying = tasks.filter((_: unknown, at: number) => at % 5 !== 0)
    const counts = Map.groupBy(seen.flat(), (title) => title)
    for (const { title } of staying) expect([title, counts.get(title)?.length]).toEqual([title, 1])
    for (const [title, times] of counts) if (title !== 'new') expect(times).toHaveLength(1)
    expect(counts.has('new')).toBe(false)
  })

  test('accepts another limit on the next page', async () => {
    const { someone } = await service()
    const person = await someone()
    await fill(person)

    const first = (await person.call('GET', '/api/tasks?limit=3')).body
    const rest = await person.call('GET', `/api/tasks?limit=200&cursor=${first.next_cursor}`)
    const joined = [...first.tasks, ...rest.body.tasks].map(({ title }) => title)
    expect(joined).toEqual(titles.toReversed())
  })

  test('has cursors that reveal nothing: never the same twice, without id or time', async () => {
    const { someone } = await service()
    const person = await someone()
    await fill(person, ['a', 'b', 'c'])
    const page = async () => (await person.call('GET', '/api/tasks?limit=1')).body
    const [one, two] = [await page(), await page()]

    expect(one.next_cursor).not.toBe(two.next_cursor)
    const decoded = Buffer.from(one.next_cursor, 'base64url').toString('latin1')
    expect(decoded).not.toContain(one.tasks[0].id)
    expect(decoded).not.toContain(one.tasks[0].created_at.slice(0, 10))
  })
})
