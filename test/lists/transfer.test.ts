import { describe, expect, test } from 'bun:test'
import { sql } from 'drizzle-orm'
import { comparable, database, type Someone, service } from '../support/service.ts'

const [tasks, lists] = ['/api/tasks', '/api/lists']
const types = { json: 'application/json', ndjson: 'application/x-ndjson', csv: 'text/csv' }
type Format = keyof typeof types

const ada = async () => (await service({ RATE_LIMIT: '1000' })).someone()
const send = (
  { call }: Pick<Someone, 'call'>,
  body: unknown,
  format: Format = 'json',
  query = '',
) => call('POST', `${tasks}/import${query}`, body, { 'content-type': types[format] })
const exported = async ({ call }: Pick<Someone, 'call'>, format: Format) => {
  const { status, text, body } = await call('GET', `${tasks}/export?format=${format}`)
  expect(status).toBe(200)
  return format === 'json' ? body : text
}
/** The lists by name, with the titles of their tasks, and the inbox. */
const planOf = async ({ call }: Pick<Someone, 'call'>) => {
  const own = (await call('GET', lists)).body.lists as { id: string; name: string }[]
  const titlesIn = async (id: string): Promise<string[]> =>
    (await call('GET', `${tasks}?list_id=${id}&sort=position&limit=200`)).body.tasks.map(
      ({ title }: { title: string }) => title,
    )
  const plan: [string, string[]][] = []
  for (const { id, name } of [{ id: 'inbox', name: 'inbox' }, ...own])
    plan.push([name, await titlesIn(id)])
  return plan
}
const planned = async () => {
  const person = await ada()
  const { call } = person
  const made = []
  for (const name of ['Straße', '=risky, "name"', 'empty'])
    made.push((await call('POST', lists, { name })).body)
  for (const [title, at] of [
    ['a', 0],
    ['b', 1],
    ['c', 0],
    ['d', undefined],
  ] as const)
    await call('POST', tasks, { title, list_id: at === undefined ? null : made[at].id })
  await call('POST', `${lists}/${made[1].id}/move`, { before: made[0].id })
  return person
}

describe('what was exported has its lists', () => {
  test.each(Object.keys(types) as Format[])('in another account, as %s', async (format) => {
    const person = await planned()
    const copy = await ada()
    const { status } = await send(copy, await exported(person, format), format)
    expect(status).toBe(200)
    const plan = await planOf(person)
    // Only JSON has lists without tasks, and the order of lists.
    const isFull = format === 'json'
    const sorted = (one: [string, string[]][]) => (isFull ? one : one.toSorted())
    expect(sorted(await planOf(copy))).toEqual(
      sorted(plan.filter(([name]) => isFull || name !== 'empty')),
    )
  })

  test.each(Object.keys(types) as Format[])(
    'in the same account, as %s, without a second list',
    async (format) => {
      const person = await planned()
      const before = await planOf(person)
      await send(person, await exported(person, format), format)
      expect(await planOf(person)).toEqual(
        before.map(([name, titles]) => [name, [...titles, ...titles]]),
      )
    },
  )
})

describe('an import', () => {
  test('finds lists by their names, and creates the others once', async () => {
    const person = await ada()
    const { call } = person
    const known = (await call('POST', lists, { name: 'Café' })).body
    const { body } = await send(person, {
      lists: [
        { id: 'p1', name: 'CAFE\u0301' },
        { id: 'P2', name: 'new' },
      ],
      tasks: [
        { title: 'a', list_id: 'P1' },
        { title: 'b', list_id: 'p2' },
        { title: 'c', list: 'NEW' },
        { title: 'd', list: 'other', list_id: 'p1' },
        { title: 'e', list_id: known.id },
        { title: 'f', list: null },
      ],
    })
    expect(body.imported).toBe(6)
    expect(await planOf(person)).toEqual([
      ['inbox', ['f']],
      ['Café', ['a', 'e']],
      ['new', ['b', 'c']],
      ['other', ['d']],
    ])
  })

  test('into a list that does not exist or is of another user is refused, also by a dry run', async () => {
    const person = await ada()
    const bob = await ada()
    const theirs = (await bob.call('POST', lists, { name: 'of Bob' })).body.id
    const ask = async (list_id: string, query = '') => {
      const body = {
        tasks: [{ title: 'a' }, { title: 'b', list_id }, { title: 'c', list: 'made' }],
      }
      return comparable(await send(person, body, 'json', query))
    }
    const absent = await ask(Bun.randomUUIDv7())
    expect([absent.status, JSON.parse(absent.text).errors]).toEqual([
      422,
      [{ in: 'body', pointer: '/tasks/1', detail: 'list_id: no such list' }],
    ])
    expect(await ask(theirs)).toEqual(absent)
    expect(await ask('x')).toEqual(absent)
    expect(await ask(theirs, '?dry_run=true')).toEqual(absent)
    const keyed = await person.call(
      'POST',
      `${tasks}/import`,
      { tasks: [{ title: 'b', list_id: theirs }] },
      { 'idempotency-key': 'k' },
    )
    expect(keyed.status).toBe(422)
    // The same key may be used for the corrected request.
    const again = await person.call(
      'POST',
      `${tasks}/import`,
      { tasks: [{ title: 'b', list: 'made' }] },
      { 'idempotency-key': 'k' },
    )
    expect(again.status).toBe(200)
    expect(await planOf(person)).toEqual([
      ['inbox', []],
      ['made', ['b']],
    ])
    expect(await planOf(bob)).toEqual([
      ['inbox', []],
      ['of Bob', []],
    ])
  })

  test.each([
    [{ lists: 7, tasks: [] }, '/lists'],
    [{ lists: [{ id: 'x' }], tasks: [] }, '/lists/0/name'],
    [{ lists: [{ id: 7, name: 'a' }], tasks: [] }, '/lists/0/id'],
    [{ lists: [{ id: 'x', name: '' }], tasks: [] }, '/lists/0/name'],
    [{ lists: [{ id: 'x', name: 'a', owner: 1 }], tasks: [] }, '/lists/0/owner'],
    [{ tasks: [{ title: 'x', list: '' }] }, '/tasks/0'],
    [{ tasks: [{ title: 'x', list: 'x'.repeat(101) }] }, '/tasks/0'],
  ])('of %j is refused', async (body, pointer) => {
    const person = await ada()
    const answer = await send(person, body)
    expect([answer.status, answer.body.errors[0].pointer]).toEqual([422, pointer])
  })

  test('of more lists than a user may have creates nothing', async () => {
    const person = await ada()
    const { db } = await database()
    await db.execute(sql`
      insert into lists (user_id, id, name, name_key, slot, position, created_at, updated_at, change)
      select ${person.id}::uuid, gen_random_uuid(), 'n' || n, 'n' || n, n, '4' || n, now(), now(), 1
      from generate_series(1, 498) as n`)
    const of = (count: number) => ({
      tasks: Array.from({ length: count }, (_, n) => ({ title: 'x', list: `new ${n}` })),
    })
    const refused = await send(person, of(3))
    expect([refused.status, refused.body.code]).toEqual([409, 'too-many-lists'])
    expect((await person.call('GET', tasks)).body.tasks).toEqual([])
    expect((await send(person, of(2))).status).toBe(200)
    expect((await person.call('GET', lists)).body.lists).toHaveLength(500)
  })

  test('of the same new list by ten requests at once makes one list', async () => {
    const person = await ada()
    const all = await Promise.all(
      Array.from({ length: 10 }, (_, n) =>
        send(person, { tasks: [{ title: `${n}`, list: 'new' }] }),
      ),
    )
    expect(all.map(({ status }) => status)).toEqual(Array(10).fill(200))
    const [, made, ...others] = await planOf(person)
    expect([made?.[0], made?.[1].length, others]).toEqual(['new', 10, []])
  })
})
