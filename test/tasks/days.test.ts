import { afterEach, describe, expect, test } from 'bun:test'
import { at, realTime, type Someone, service } from '../support/service.ts'
import { walk } from '../support/walk-pages.ts'

afterEach(realTime)

const tasks = '/api/tasks'
const in_ = async (time_zone: string) => {
  const person = await (await service({ RATE_LIMIT: '1000' })).someone()
  await person.call('PATCH', '/api/auth/me', { time_zone })
  return person
}
const add = async ({ call }: Pick<Someone, 'call'>, due: string) => {
  const member = due.length === 10 ? { due_on: due } : { due_at: due }
  expect((await call('POST', tasks, { title: due, ...member })).status).toBe(201)
}
const found = async ({ call }: Pick<Someone, 'call'>, query: string): Promise<string[]> =>
  (await call('GET', `${tasks}?sort=due_at&limit=200&${query}`)).body.tasks.map(
    ({ title }: { title: string }) => title,
  )

/** The time of the request, the first moment of today and that of tomorrow, and today. */
const cases = [
  [
    'UTC',
    '2026-03-20T12:00:00.000Z',
    '2026-03-20T00:00:00.000Z',
    '2026-03-21T00:00:00.000Z',
    '2026-03-20',
  ],
  // UTC+13 (summer time): the day is one later than in UTC.
  [
    'Pacific/Auckland',
    '2026-03-20T12:00:00.000Z',
    '2026-03-20T11:00:00.000Z',
    '2026-03-21T11:00:00.000Z',
    '2026-03-21',
  ],
  [
    'Pacific/Pago_Pago',
    '2026-03-20T10:59:59.000Z',
    '2026-03-19T11:00:00.000Z',
    '2026-03-20T11:00:00.000Z',
    '2026-03-19',
  ],
  [
    'Asia/Kathmandu',
    '2026-03-20T18:15:00.000Z',
    '2026-03-20T18:15:00.000Z',
    '2026-03-21T18:15:00.000Z',
    '2026-03-21',
  ],
  [
    'Asia/Kathmandu',
    '2026-03-20T18:14:59.000Z',
    '2026-03-19T18:15:00.000Z',
    '2026-03-20T18:15:00.000Z',
    '2026-03-20',
  ],
  [
    'Pacific/Kiritimati',
    '2026-12-31T10:00:00.000Z',
    '2026-12-31T10:00:00.000Z',
    '2027-01-01T10:00:00.000Z',
    '2027-01-01',
  ],
  // Both changes of daylight saving time: 23 and 25 hours.
  [
    'Europe/Berlin',
    '2026-03-29T12:00:00.000Z',
    '2026-03-28T23:00:00.000Z',
    '2026-03-29T22:00:00.000Z',
    '2026-03-29',
  ],
  [
    'Europe/Berlin',
    '2026-10-25T12:00:00.000Z',
    '2026-10-24T22:00:00.000Z',
    '2026-10-25T23:00:00.000Z',
    '2026-10-25',
  ],
  // By half an hour.
  [
    'Australia/Lord_Howe',
    '2026-04-05T00:00:00.000Z',
    '2026-04-04T13:00:00.000Z',
    '2026-04-05T13:30:00.000Z',
    '2026-04-05',
  ],
  // Midnight does not exist: the day begins at 01:00.
  [
    'America/Santiago',
    '2026-09-06T12:00:00.000Z',
    '2026-09-06T04:00:00.000Z',
    '2026-09-07T03:00:00.000Z',
    '2026-09-06',
  ],
] as const

const shifted = (time: string, ms: number) => new Date(Date.parse(time) + ms).toISOString()
const dayAfter = (day: string, days: number) =>
  new Date(Date.parse(day) + days * 86_400_000).toISOString().slice(0, 10)

describe.each(cases)('in %s at %s', (zone, now, start, end, today) => {
  test('today, the week, overdue and the counts are those of the user', async () => {
    at(now)
    const person = await in_(zone)
    const [yesterday, tomorrow] = [dayAfter(today, -1), dayAfter(today, 1)]
    const [sixth, seventh] = [dayAfter(today, 6), dayAfter(today, 7)]
    for (const due of [
      shifted(start, -1),
      start,
      shifted(end, -1),
      end,
      yesterday,
      today,
      tomorrow,
      sixth,
      seventh,
    ])
      await add(person, due)
    await person.call('POST', tasks, { title: 'never' })

    const [day, week] = [await found(person, 'due=today'), await found(person, 'due=week')]
    expect(day.sort()).toEqual([start, shifted(end, -1), today].sort())
    expect(week.sort()).toEqual([start, shifted(end, -1), end, today, tomorrow, sixth].sort())
    expect(await found(person, 'due=none')).toEqual(['never'])
    const late = [shifted(start, -1), yesterday, ...(start < now ? [start] : [])]
    expect((await found(person, 'overdue=true')).sort()).toEqual(late.sort())
    const inTime = await found(person, 'overdue=false')
    expect(inTime.toSorted()).toEqual(
      [
        ...(start < now ? [] : [start]),
        shifted(end, -1),
        end,
        today,
        tomorrow,
        sixth,
        seventh,
        'never',
      ].sort(),
    )
    const counts = (await person.call('GET', `${tasks}/counts`)).body
    expect(counts).toEqual({
      open: 10,
      overdue: late.length,
      today: 3,
      completed: 0,
      trash: 0,
      lists: [{ list_id: null, open: 10 }],
    })
  })
})

test('a user who changes the time zone has other days', async () => {
  at('2026-03-20T12:00:00.000Z')
  const person = await in_('Pacific/Auckland')
  for (const due of ['2026-03-20', '2026-03-21']) await add(person, due)
  expect(await found(person, 'due=today')).toEqual(['2026-03-21'])
  expect(await found(person, 'overdue=true')).toEqual(['2026-03-20'])
  await person.call('PATCH', '/api/auth/me', { time_zone: 'America/Los_Angeles' })
  expect(await found(person, 'due=today')).toEqual(['2026-03-20'])
  expect(await found(person, 'overdue=true')).toEqual([])
})

describe('counts', () => {
  test('are those of the lists, without completed tasks and the trash', async () => {
    at('2026-03-20T12:00:00.000Z')
    const here = await service()
    const person = await here.someone()
    const { call } = person
    const bob = await here.someone()
    await bob.call('POST', tasks, { title: 'of Bob', tags: ['of Bob'] })
    const list = (await call('POST', '/api/lists', { name: 'b' })).body
    const first = (await call('POST', '/api/lists', { name: 'a' })).body
    await call('POST', `/api/lists/${first.id}/move`, { before: list.id })
    const inList = async (title: string, more: object) =>
      (await call('POST', tasks, { title, list_id: list.id, ...more })).body
    await inList('open', { tags: ['x', 'y'] })
    const done = await inList('done', { due_on: '2026-03-19', tags: ['y'] })
    await call('PATCH', `${tasks}/${done.id}/complete`)
    const gone = await inList('gone', { tags: ['z'] })
    await call('DELETE', `${tasks}/${gone.id}`)
    await call('POST', tasks, { title: 'inbox', due_on: '2026-03-19', tags: ['é'] })

    expect((await call('GET', `${tasks}/counts`)).body).toEqual({
      open: 2,
      overdue: 1,
      today: 0,
      completed: 1,
      trash: 1,
      lists: [
        { list_id: null, open: 1 },
        { list_id: first.id, open: 0 },
        { list_id: list.id, open: 1 },
      ],
    })
    expect((await call('GET', '/api/tags')).body).toEqual({
      tags: [
        { name: 'y', count: 2 },
        { name: 'x', count: 1 },
        { name: 'é', count: 1 },
      ],
    })
    expect(await found(person, 'overdue=true')).toEqual(['inbox'])
  })

  test('of tags are those of the 1000 most frequent ones, then in the order of their names', async () => {
    const { call } = await (await service()).someone()
    const names = Array.from({ length: 1001 }, (_, n) => `tag ${String(n).padStart(4, '0')}`)
    const create = Array.from({ length: 51 }, (_, n) => ({
      title: 'x',
      tags: names.slice(n * 20, n * 20 + 20),
    }))
    create.push({ title: 'twice', tags: names.slice(-1) })
    expect((await call('POST', `${tasks}/batch`, { create })).status).toBe(200)

    const { tags } = (await call('GET', '/api/tags')).body
    expect(tags).toEqual([
      { name: 'tag 1000', count: 2 },
      ...names.slice(0, 999).map((name) => ({ name, count: 1 })),
    ])
  })

  test('of a user without tasks are zero', async () => {
    const { call } = await (await service()).someone()
    expect((await call('GET', `${tasks}/counts`)).body).toEqual({
      open: 0,
      overdue: 0,
      today: 0,
      completed: 0,
      trash: 0,
      lists: [{ list_id: null, open: 0 }],
    })
    expect((await call('GET', '/api/tags')).body).toEqual({ tags: [] })
  })
})

test.each([300, 2001, 2100])(
  '%i tasks of today have pages in any order, and with other filters',
  async (count) => {
    at('2026-03-20T12:00:00.000Z')
    const person = await in_('Asia/Kathmandu')
    const drafts = Array.from({ length: count }, (_, n) => ({
      title: `${(n * 7919) % 10_007}`.padStart(5, '0'),
      priority: ['low', 'normal', 'high', 'urgent'][n % 4],
      tags: n % 10 === 0 ? ['home'] : [],
      ...(n % 2 ? { due_on: '2026-03-20' } : { due_at: '2026-03-20T17:00:00.000Z' }),
    }))
    const others = [{ title: 'x', due_on: '2026-03-21' }, { title: 'y' }]
    const sent = await person.call('POST', `${tasks}/import`, { tasks: [...drafts, ...others] })
    expect(sent.status).toBe(200)
    const byTitle = drafts.map(({ title }) => title).sort()
    for (const due of ['today', 'week']) {
      const expected = due === 'today' ? byTitle : [...byTitle, 'x']
      const pages = await walk(person, `${tasks}?due=${due}&sort=title&limit=200`)
      expect(pages.flat().map(({ title }) => title)).toEqual(expected)
    }
    const [urgent] = await walk(
      person,
      `${tasks}?due=today&tag=home&sort=-priority,-title&limit=200`,
    )
    const isHome = drafts.filter(({ tags }) => tags.length > 0)
    const ranked = isHome.toSorted(
      (a, b) =>
        levels.indexOf(b.priority ?? '') - levels.indexOf(a.priority ?? '') ||
        (a.title < b.title ? 1 : -1),
    )
    expect(urgent?.map(({ title }) => title)).toEqual(
      ranked.slice(0, 200).map(({ title }) => title),
    )
  },
)
const levels = ['low', 'normal', 'high', 'urgent']
