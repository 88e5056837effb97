import { afterEach, beforeAll, describe, expect, test } from 'bun:test'
import { at, realTime, type Service, type Someone, service } from '../support/service.ts'
import {
  compare,
  type Draft,
  importAll,
  listed,
  type Query,
  type Random,
  randomOf,
  search,
  sorts,
  type Task,
  walk,
} from '../support/walk-pages.ts'

afterEach(realTime)

const day = (n: number) => `2026-03-${String(n).padStart(2, '0')}T12:00:00.000Z`
/** The minutes in which the tasks of `createTasks` are created, changed and read. */
const minute = (n: number) => `2026-03-20T12:0${n}:00.000Z`
const titles = ['a', 'B', 'Z', 'é', 'É', 'ß', '50%', '5_0', 'back\\slash', 'zz', 'Milk', 'ﬀ', '😀']
const tags = ['home', 'shop', 'a,b', '"q"', 'back\\slash', '{}', 'NULL']

const randomDraft = (random: Random): Draft => ({
  title: `${random.of(titles)}${random.chance(50) ? random.of(titles) : ''}`,
  description: random.of([null, '', 'Milk and É', '100%', 'under_score', 'c:\\temp']),
  priority: random.of(['low', 'normal', 'high', 'urgent']),
  ...random.of([
    { due_at: null },
    { due_at: day(1 + random.below(9)) },
    { due_on: day(1 + random.below(9)).slice(0, 10) },
  ]),
  tags: tags.filter(() => random.chance(25)),
  completed: random.chance(40),
  created_at: day(1 + random.below(5)),
})

const queryOf = (random: Random): Query => {
  const filters: Query = {
    completed: random.of(['true', 'false']),
    priority: random.chance(50)
      ? random.of(['low', 'normal', 'high', 'urgent'])
      : ['low', random.of(['low', 'high'])],
    tags_any: [random.of(tags), random.of(tags)],
    completed_before: random.of([minute(3), minute(9)]),
    completed_after: random.of([minute(0), minute(1)]),
    due_on_before: random.of([day(4), day(8)]).slice(0, 10),
    due_on_after: random.of([day(1), day(3)]).slice(0, 10),
    due: 'none',
    tag: random.chance(50) ? random.of(tags) : [random.of(tags), random.of(tags)],
    q: random.of([
      'milk',
      'é',
      'É',
      '%',
      '_',
      '\\',
      '5',
      'Z',
      '😀',
      'M',
      'C:\\T',
      'nowhere',
      'é  mi',
      'm z',
    ]),
    due_before: random.of([day(4), '2026-03-06T14:00:00+02:00', '2026-03-07T11:59:00+23:59']),
    due_after: random.of([day(2), day(3)]),
    updated_after: random.of([minute(0), day(20)]),
  }
  const selected = Object.entries(filters).filter(() => random.chance(22))
  const keys = [random.of(sorts), random.of(sorts), random.of(sorts)].filter(
    (key, at, all) => all.findIndex((one) => one.replace('-', '') === key.replace('-', '')) === at,
  )
  const sort = random.chance(50) ? keys.join(',') : random.of(sorts)
  return { ...Object.fromEntries(selected), sort } as Query
}

/** A user with 120 random tasks, of which a third were changed a minute after the others. */
const createTasks = async (here: Service, random: Random) => {
  at(minute(0))
  const ada = await here.someone()
  await importAll(
    ada,
    Array.from({ length: 120 }, () => randomDraft(random)),
  )
  const [all = []] = await walk(ada, '/api/tasks?limit=200')
  for (const [n, task] of all.entries()) {
    if (n % 3 === 0) continue
    at(minute(n % 2))
    await ada.call('PATCH', `/api/tasks/${task.id}`, { priority: task.priority })
  }
  const tasks = (await walk(ada, '/api/tasks?limit=200')).flat()
  return { ada, tasks }
}

const pathOf = (query: Record<string, unknown>) => `/api/tasks?${search(query)}`

describe('the list', () => {
  let here: Service
  let ada: Someone
  let tasks: Task[]
  beforeAll(async () => {
    here = await service()
    const person = await createTasks(here, randomOf(7))
    ada = person.ada
    tasks = person.tasks
    realTime()
  })

  test.each([...sorts])(
    'sorted by %s has the order of the contract for every page size',
    async (sort) => {
      at(minute(2))
      const expected = [...tasks].sort(compare(sort)).map(({ id }) => id)

      for (const limit of [7, 200]) {
        const pages = await walk(ada, pathOf({ sort, limit }))

        expect(pages.flat().map(({ id }) => id)).toEqual(expected)
        expect(pages.slice(0, -1).every((page) => page.length === limit)).toBe(true)
        expect(pages).toHaveLength(Math.ceil(tasks.length / limit))
      }
    },
  )

  test('has the 50 newest tasks by default', async () => {
    at(minute(2))

    const { body } = await ada.call('GET', '/api/tasks')

    expect(body.tasks).toEqual(listed(tasks, { sort: '-created_at' }).slice(0, 50))
  })

  const filters: Query[] = [
    { completed: 'true' },
    { completed: 'false' },
    { priority: 'low' },
    { priority: 'urgent' },
    ...tags.map((tag) => ({ tag })),
    { tag: ['home', 'shop'] },
    { tag: ['home', 'shop', 'a,b'] },
    { tag: ['home', 'home'] },
    { tag: 'Home' },
    { tag: 'hom' },
    { q: 'MILK' },
    { q: 'milk' },
    { q: 'É' },
    { q: 'é' },
    { q: '%' },
    { q: '_' },
    { q: '\\' },
    { q: '\\\\' },
    { q: '%m' },
    { q: '0%' },
    { q: '😀' },
    { q: ' ' },
    { q: 'and é' },
    { due_before: day(5) },
    { due_after: day(5) },
    { due_before: day(5), due_after: day(3) },
    { due_before: day(3), due_after: day(3) },
    { due_before: '2026-03-05T14:00:00.001+02:00' },
    { updated_after: day(19) },
    { updated_after: minute(0) },
    { updated_after: minute(1) },
  ]
  test.each(filters.map((query) => [search(query), query] as const))(
    'with %s contains exactly the matching tasks',
    async (_name, query) => {
      at(minute(2))

      const found = (await walk(ada, pathOf({ ...query, limit: 50 }))).flat()

      expect(found).toEqual(listed(tasks, query))
    },
  )

  test('contains the tasks that match all filters, in any sort order and page', async () => {
    at(minute(2))
    const random = randomOf(11)
    let found = 0

    for (let round = 0; round < 150; round++) {
      const query = queryOf(random)
      const limit = 1 + random.below(40)
      const pages = await walk(ada, pathOf({ ...query, limit }))
      const expected = listed(tasks, query)

      expect([query, pages.flat()]).toEqual([query, expected])
      expect(pages).toHaveLength(Math.max(1, Math.ceil(expected.length / limit)))
      found += expected.length
    }
    expect(found).toBeGreaterThan(500)
  })

  test('has a Link with path and query only, which leads through all pages', async () => {
    at(minute(2))
    const query = { tag: 'a,b', q: 'é', sort: 'title', limit: 3 }
    const seen: Task[] = []
    let path: string | undefined = pathOf(query)

    while (path !== undefined) {
      const { status, headers, body } = await ada.call('GET', path)
      expect(status).toBe(200)
      seen.push(...body.tasks)
      const link: string | null = headers.get('link')
      expect(link === null).toBe(body.next_cursor === null)
      path = link?.match(/^<(\/api\/tasks\?[^>]+)>; rel="next"$/)?.[1]
      expect(path === undefined).toBe(link === null)
    }

    expect(seen).toEqual(listed(tasks, { tag: 'a,b', q: 'é', sort: 'title' }))
    expect(seen.length).toBeGreaterThan(3)
  })

  test('has no cursor if the last task fills the page', async () => {
    at(minute(2))

    const { headers, body } = await ada.call('GET', pathOf({ limit: 120 }))
    expect([body.tasks.length, body.next_cursor, headers.get('link')]).toEqual([120, null, null])
  })

  const refused: [string, string][] = [
    ['limit=0', '/limit'],
    ['limit=201', '/limit'],
    ['limit=-1', '/limit'],
    ['limit=1e1', '/limit'],
    ['limit=', '/limit'],
    ['limit=5&limit=5', '/limit'],
    ['sort=id', '/sort'],
    ['sort=--title', '/sort'],
    ['sort=Title', '/sort'],
    ['sort=title,priority,due_at,created_at', '/sort'],
    ['sort=title,-title', '/sort'],
    ['sort=title,', '/sort'],
    ['sort=title&sort=priority', '/sort'],
    ['sort=', '/sort'],
    ['due=tomorrow', '/due'],
    ['overdue=1', '/overdue'],
    ['due_on_before=2026-01-01T00:00:00Z', '/due_on_before'],
    ['due_on_after=2026-02-30', '/due_on_after'],
    ['completed_after=2026-01-01', '/completed_after'],
    [Array(5).fill('priority=low').join('&'), '/priority'],
    ['completed=1', '/completed'],
    ['completed=TRUE', '/completed'],
    ['priority=none', '/priority'],
    ['q=', '/q'],
    [`q=${'x'.repeat(201)}`, '/q'],
    ['q=%00', '/q'],
    ['tag=', '/tag'],
    [`tag=${'x'.repeat(51)}`, '/tag'],
    [Array(21).fill('tag=a').join('&'), '/tag'],
    ['due_before=tomorrow', '/due_before'],
    ['due_after=2026-02-30T00:00:00Z', '/due_after'],
    ['updated_after=2026-01-01', '/updated_after'],
    ['updated_before=2026-01-01T00:00:00Z', '/updated_before'],
    ['offset=5', '/offset'],
    ['deleted=true', '/deleted'],
    ['cursor=', '/cursor'],
  ]
  test.each(refused)('is 422 for %s, with its pointer', async (query, pointer) => {
    at(minute(2))
    const { status, body } = await ada.call('GET', `/api/tasks?${query}`)

    expect([status, body.errors?.[0]?.pointer]).toEqual([422, pointer])
  })

  test('q finds text in composed and decomposed form, in both directions', async () => {
    const ada = await (await service()).someone()
    const forms = ['Café au lait', 'Café au lait'.normalize('NFD')]
    for (const title of forms) await ada.call('POST', '/api/tasks', { title })
    for (const description of forms)
      await ada.call('POST', '/api/tasks', { title: 'x', description })
    const exported = (await ada.call('GET', '/api/tasks/export')).body
    await ada.call('POST', '/api/tasks/import', exported)

    for (const q of ['café', 'CAFÉ'.normalize('NFD'), 'é au'.normalize('NFD')]) {
      const { body } = await ada.call('GET', `/api/tasks?${search({ q })}`)
      expect([q, body.tasks.length]).toEqual([q, 8])
    }
    const { body } = await ada.call('GET', '/api/tasks')
    const titles = new Set(body.tasks.map(({ title }: { title: string }) => title))
    expect(titles).toEqual(new Set([...forms, 'x']))
  })

  test('accepts the limits of its parameters', async () => {
    at(minute(2))
    for (const query of ['limit=1', 'limit=200', `q=${'é'.repeat(200)}`, `tag=${'😀'.repeat(50)}`])
      expect((await ada.call('GET', `/api/tasks?${query}`)).status).toBe(200)
  })
})

describe('a cursor', () => {
  const query = { sort: 'title', completed: 'false', limit: '2' }
  const withTasks = async (here: Service) => {
    const person = await here.someone()
    await importAll(
      person,
      Array.from({ length: 6 }, (_, n) => ({ title: `Canary ${n}` })),
    )
    return person
  }
  const cursorOf = async ({ call }: Someone, path = pathOf(query)): Promise<string> =>
    (await call('GET', path)).body.next_cursor
  const status = async ({ call }: Someone, cursor: string, over: Record<string, unknown> = {}) => {
    const answer = await call('GET', pathOf({ ...query, ...over, cursor }))
    return [answer.status, answer.body.code]
  }
  const malformed = [400, 'malformed-request']

  test('is valid for its user, sort order and filters, and any page size', async () => {
    const here = await service()
    const [ada, bob] = [await withTasks(here), await withTasks(here)]
    const cursor = await cursorOf(ada)

    expect(await status(ada, cursor)).toEqual([200, undefined])
    expect(await status(ada, cursor, { limit: 5 })).toEqual([200, undefined])
    expect(await status(bob, cursor)).toEqual(malformed)
    for (const over of [
      { sort: '-title' },
      { sort: 'created_at' },
      { sort: undefined },
      { completed: 'true' },
      { completed: undefined },
      { q: 'Canary' },
      { tag: 'home' },
      { priority: 'normal' },
      { due_after: day(1) },
    ])
      expect([over, await status(ada, cursor, over)]).toEqual([over, malformed])
    expect((await ada.call('GET', `/api/tasks/trash?cursor=${cursor}`)).status).toBe(400)
    expect((await ada.call('GET', `/api/tasks/changes?since=${cursor}`)).status).toBe(400)
  })

  test('is 400 if any bit is changed, or it is cut, extended or encoded in another way', async () => {
    const ada = await withTasks(await service())
    const cursor = await cursorOf(ada)
    const encrypted = Buffer.from(cursor, 'base64url')
    const modified = [...encrypted.keys()].flatMap((place) =>
      [1, 128].map((bit) => {
        const bytes = Buffer.from(encrypted)
        bytes[place] = (bytes[place] ?? 0) ^ bit
        return bytes.toString('base64url')
      }),
    )
    const cut = [1, 12, 16, 28, 29].map((n) => encrypted.subarray(n).toString('base64url'))
    const others = [
      `${cursor}=`,
      `${cursor}A`,
      ` ${cursor}`,
      `${cursor}\n`,
      `${cursor}é`,
      '\\',
      '{}',
    ]

    for (const text of [...modified, ...cut, ...others])
      expect([text, await status(ada, text)]).toEqual([text, malformed])
    const last = cursor.at(-1) ?? ''
    const alphabet = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_'
    for (const other of alphabet.replace(last, ''))
      expect(await status(ada, cursor.slice(0, -1) + other)).toEqual(malformed)
  })

  test('is valid after a change of the secret while the old one is listed, and no longer', async () => {
    const [old, fresh] = [
      'the old secret that is long enough',
      'the new secret that is long enough',
    ]
    const before = await service({ JWT_SECRET: old })
    const during = await service({ JWT_SECRET: `${fresh},${old}` })
    const after = await service({ JWT_SECRET: fresh })
    const { email, password, ...ada } = await withTasks(before)
    const cursor = await cursorOf(ada as Someone)
    const signedIn = await after.call('POST', '/api/auth/login', { body: { email, password } })
    const statusFrom = async ({ call }: Service, text: string, token = ada.token) =>
      (await call('GET', pathOf({ ...query, cursor: text }), { token })).status

    expect([await statusFrom(before, cursor), await statusFrom(during, cursor)]).toEqual([200, 200])
    const renewed = await during.call('GET', pathOf(query), { token: ada.token })
    const token = signedIn.body.access_token
    expect(await statusFrom(after, renewed.body.next_cursor, token)).toBe(200)
    expect(await statusFrom(after, cursor, token)).toBe(400)
    expect(await statusFrom(before, renewed.body.next_cursor)).toBe(400)
  })

  test('continues after a row that was deleted meanwhile', async () => {
    const ada = await withTasks(await service())
    const { body } = await ada.call('GET', pathOf(query))
    for (const { id } of body.tasks) await ada.call('DELETE', `/api/tasks/${id}`)

    const rest = await ada.call('GET', pathOf({ ...query, limit: 9, cursor: body.next_cursor }))
    expect(rest.body.tasks.map(({ title }: Task) => title)).toEqual(
      [2, 3, 4, 5].map((n) => `Canary ${n}`),
    )
  })
})

describe('paging during writes', () => {
  /** Every second task is unchanged; the others are changed and deleted meanwhile, and more are created. */
  const total = 10_400

  test.each([
    ['-created_at', {}],
    ['title', {}],
    ['due_at', {}],
    ['-priority', {}],
    ['updated_at', { completed: 'false' }],
  ] as const)(
    'sorted by %s returns each of 5 200 unchanged tasks exactly once, in order',
    async (sort, filter) => {
      const random = randomOf(sort.length)
      const ada = await (await service()).someone()
      await importAll(
        ada,
        Array.from({ length: total }, (_, n) => ({
          title: `${n % 2 ? 'stays' : 'moves'} ${random.below(3000)}`,
          priority: random.of(['low', 'normal', 'high', 'urgent']),
          ...random.of([
            {},
            { due_at: day(1 + random.below(28)) },
            { due_on: day(1 + random.below(28)).slice(0, 10) },
          ]),
          created_at: new Date(Date.parse(day(1)) + random.below(5000) * 1000).toISOString(),
        })),
      )
      const all = (await walk(ada, '/api/tasks?limit=200')).flat()
      const stays = all.filter(({ title }) => title.startsWith('stays'))
      const moves = all.filter(({ title }) => title.startsWith('moves')).map(({ id }) => id)
      const disturb = async () => {
        const id = random.of(moves)
        const other = random.of(moves)
        const responses = await Promise.all([
          ada.call('POST', '/api/tasks', { title: `moves ${random.below(3000)}`, due_at: day(9) }),
          ada.call('PATCH', `/api/tasks/${id}`, {
            title: `moves ${random.below(3000)}`,
            priority: random.of(['low', 'urgent']),
            due_at: random.of([null, day(1), day(28)]),
            due_on: null,
          }),
          ada.call('DELETE', `/api/tasks/${other}`),
          ada.call('PATCH', `/api/tasks/${random.of(moves)}/complete`),
        ])
        moves.push(responses[0].body.id)
        for (const { status } of responses) expect([200, 201, 404]).toContain(status)
      }

      const pages = await walk(ada, pathOf({ sort, ...filter, limit: 200 }), disturb)

      const seen = pages.flat().filter(({ title }) => title.startsWith('stays'))
      expect(seen.map(({ id }) => id)).toEqual(stays.sort(compare(sort)).map(({ id }) => id))
      expect(stays).toHaveLength(total / 2)
      expect(pages.length).toBeGreaterThan(26)
    },
    240_000,
  )
})
