import { describe, expect, test } from 'bun:test'
import { sql } from 'drizzle-orm'
import { database, type Someone, service } from '../support/service.ts'
import { randomOf, type Task } from '../support/walk-pages.ts'

const tasks = '/api/tasks'
const ada = async () => (await service({ RATE_LIMIT: '100000' })).someone()
type Caller = Pick<Someone, 'call'>

const add = async ({ call }: Caller, title: string, list_id: string | null = null): Promise<Task> =>
  (await call('POST', tasks, { title, list_id })).body
const move = ({ call }: Caller, task: Pick<Task, 'id'>, body: object, headers = {}) =>
  call('POST', `${tasks}/${task.id}/move`, body, headers)
const inOrder = async ({ call }: Caller, list = 'inbox'): Promise<Task[]> =>
  (await call('GET', `${tasks}?list_id=${list}&sort=position&limit=200`)).body.tasks
const titlesOf = async (person: Caller, list?: string) =>
  (await inOrder(person, list)).map(({ title }) => title)
const byteOrder = (a: Task, b: Task) =>
  Buffer.compare(Buffer.from(a.position), Buffer.from(b.position))

/** The order is that of the positions as bytes, and no two are equal. */
const expectTotalOrder = (list: Task[]) => {
  expect(list).toEqual([...list].sort(byteOrder))
  expect(new Set(list.map(({ position }) => position)).size).toBe(list.length)
}

describe('a move', () => {
  test('goes before, after, to the end, and to another list', async () => {
    const person = await ada()
    const [a, b, c] = [await add(person, 'a'), await add(person, 'b'), await add(person, 'c')]
    const list = (await person.call('POST', '/api/lists', { name: 'x' })).body.id
    const other = await add(person, 'other', list)

    const first = await move(person, c, { before: a.id })
    expect([first.status, first.headers.get('etag')]).toEqual([200, '"2"'])
    expect(first.body).toEqual({
      ...c,
      position: first.body.position,
      version: 2,
      updated_at: first.body.updated_at,
    })
    expect(await titlesOf(person)).toEqual(['c', 'a', 'b'])
    await move(person, c, { after: a.id.toUpperCase() })
    expect(await titlesOf(person)).toEqual(['a', 'c', 'b'])
    await move(person, a, {})
    expect(await titlesOf(person)).toEqual(['c', 'b', 'a'])
    await move(person, b, { list_id: list })
    expect(await titlesOf(person, list)).toEqual(['other', 'b'])
    await move(person, a, { list_id: list, before: other.id })
    expect(await titlesOf(person, list)).toEqual(['a', 'other', 'b'])
    await move(person, a, {})
    expect(await titlesOf(person, list)).toEqual(['other', 'b', 'a'])
    await move(person, a, { list_id: null })
    expect(await titlesOf(person)).toEqual(['c', 'a'])
  })

  test('is refused with what is wrong, and changes nothing', async () => {
    const person = await ada()
    const bob = await ada()
    const [a, b] = [await add(person, 'a'), await add(person, 'b')]
    const list = (await person.call('POST', '/api/lists', { name: 'x' })).body.id
    const listed = await add(person, 'listed', list)
    const gone = await add(person, 'gone')
    await person.call('DELETE', `${tasks}/${gone.id}`)

    for (const [body, pointer] of [
      [{ before: a.id }, '/before'],
      [{ before: b.id, after: b.id }, '/after'],
      [{ before: listed.id }, '/before'],
      [{ list_id: list, after: b.id }, '/after'],
      [{ after: gone.id }, '/after'],
      [{ after: (await add(bob, 'of Bob')).id }, '/after'],
      [{ after: 'x' }, '/after'],
      [{ after: [b.id] }, '/after'],
      [{ before: {} }, '/before'],
      [{ list_id: 7 }, '/list_id'],
      [{ list_id: Bun.randomUUIDv7(), after: b.id }, '/list_id'],
      [{ position: '1' }, '/position'],
    ] as const) {
      const { status, body: problem } = await move(person, a, body)
      expect([body, status, problem.errors[0].pointer]).toEqual([body, 422, pointer])
    }
    const stale = await move(person, a, { after: b.id }, { 'if-match': '"3"' })
    expect([stale.status, stale.headers.get('etag')]).toEqual([412, '"1"'])
    expect((await move(person, gone, {})).status).toBe(404)
    expect(await inOrder(person)).toEqual([a, b])
    const moved = await move(person, a, { after: b.id }, { 'if-match': '"1"' })
    expect(moved.status).toBe(200)
  })

  test('agrees with a list in memory, over 300 random moves in three lists', async () => {
    const person = await ada()
    const random = randomOf(18)
    const lists = ['inbox']
    for (const name of ['one', 'two'])
      lists.push((await person.call('POST', '/api/lists', { name })).body.id)
    const model = new Map<string, string[]>(lists.map((list) => [list, []]))
    for (let n = 0; n < 24; n++) {
      const list = random.of(lists)
      const { id } = await add(person, `${n}`, list === 'inbox' ? null : list)
      model.get(list)?.push(id)
    }
    for (let n = 0; n < 300; n++) {
      const from = random.of(lists.filter((list) => (model.get(list) ?? []).length > 0))
      const id = random.of(model.get(from) ?? [])
      const to = random.of(lists)
      model.set(
        from,
        (model.get(from) ?? []).filter((one) => one !== id),
      )
      const goal = model.get(to) ?? []
      const neighbour = goal.length > 0 && random.chance(85) ? random.of(goal) : undefined
      const side = random.of(['before', 'after'] as const)
      const at = neighbour ? goal.indexOf(neighbour) + (side === 'after' ? 1 : 0) : goal.length
      model.set(to, goal.toSpliced(at, 0, id))
      const { status } = await move(
        person,
        { id },
        {
          ...((to !== from || random.chance(30)) && { list_id: to === 'inbox' ? null : to }),
          ...(neighbour && { [side]: neighbour }),
        },
      )
      expect(status).toBe(200)
    }
    for (const list of lists) {
      const found = await inOrder(person, list)
      expect(found.map(({ id }) => id)).toEqual(model.get(list) ?? [])
      expectTotalOrder(found)
    }
    const everywhere = (await person.call('GET', `${tasks}?sort=position`)).body.tasks
    expectTotalOrder(everywhere)
    const reversed = (await person.call('GET', `${tasks}?sort=-position`)).body.tasks
    expect(reversed).toEqual(everywhere.toReversed())
  })

  test('into the same gap by 40 requests at once loses nothing, and leaves a total order', async () => {
    const person = await ada()
    const [a, z] = [await add(person, 'a'), await add(person, 'z')]
    const others = []
    for (let n = 0; n < 40; n++) others.push(await add(person, `${n}`))
    const all = await Promise.all(
      others.map((task, n) => move(person, task, n % 2 ? { after: a.id } : { before: z.id })),
    )
    expect(all.every(({ status }) => status === 200)).toBe(true)
    const found = await inOrder(person)
    expect(found).toHaveLength(42)
    expect([found[0]?.id, found.at(-1)?.id]).toEqual([a.id, z.id])
    expectTotalOrder(found)
    // Every gap still has room.
    const last = found[20]
    if (!last) throw new Error('no task')
    for (const [at, neighbour] of found.entries()) {
      if (neighbour.id === last.id) continue
      await move(person, last, { after: neighbour.id })
      const ids = (await inOrder(person)).map(({ id }) => id)
      expect([at, ids[ids.indexOf(neighbour.id) + 1]]).toEqual([at, last.id])
    }
  })

  test('keeps positions short: the list is numbered again when a gap is used up', async () => {
    const person = await ada()
    const [a, b, c, d] = [
      await add(person, 'a'),
      await add(person, 'b'),
      await add(person, 'c'),
      await add(person, 'd'),
    ]
    // The gap between the neighbours is halved by each move.
    let [low, high, free] = [a, b, c]
    let longest = 0
    for (let n = 0; n < 500; n++) {
      const { status, body } = await move(
        person,
        free,
        n % 2 ? { after: low.id } : { before: high.id },
      )
      expect(status).toBe(200)
      longest = Math.max(longest, body.position.length)
      if (n % 2) [high, free] = [body, high]
      else [low, free] = [body, low]
      if (n % 50 === 0) expectTotalOrder(await inOrder(person))
      const titles = await titlesOf(person)
      expect(titles.indexOf(low.title)).toBeLessThan(titles.indexOf(high.title))
    }
    expect(longest).toBeLessThanOrEqual(70)
    const numbered = (await inOrder(person)).find(({ id }) => id === d.id)
    expect(numbered?.version).toBeGreaterThan(1)
  })

  test('to the start and to the end never needs more digits', async () => {
    const person = await ada()
    const all = [await add(person, 'a'), await add(person, 'b'), await add(person, 'c')]
    for (let n = 0; n < 60; n++) {
      const [first, , last] = await inOrder(person)
      if (!first || !last) throw new Error('no task')
      const moved = await (n % 3
        ? move(person, last, { before: first.id })
        : move(person, first, {}))
      expect(moved.body.position).toHaveLength(10)
    }
    expect(await inOrder(person)).toHaveLength(all.length)
  })
})

describe('the order', () => {
  test('of tasks from before positions is that of their creation, and they can be moved', async () => {
    const person = await ada()
    const before = []
    for (let n = 0; n < 5; n++) before.push(await add(person, `old ${n}`))
    const { db } = await database()
    await db.execute(sql`update tasks set position = null where user_id = ${person.id}`)
    await add(person, 'new')

    const old = await inOrder(person)
    expectTotalOrder(old)
    expect(old.map(({ title }) => title)).toEqual([...before.map(({ title }) => title), 'new'])
    expect((await person.call('GET', `${tasks}/${before[0]?.id}`)).body.position).toBe(
      old[0]?.position,
    )
    // By every route that returns tasks, PostgreSQL and the service calculate the same.
    const { call } = person
    const known = new Map(old.map(({ id, position }) => [id, position]))
    const [one, two] = old
    const path = `${tasks}/${one?.id}`
    const key = { 'idempotency-key': 'k' }
    const answers = [
      (await call('GET', `${tasks}?completed=false`)).body.tasks,
      (await call('GET', `${tasks}/changes`)).body.changes.map(
        (change: { task: Task }) => change.task,
      ),
      (await call('GET', `${tasks}/export`)).body.tasks,
      [(await call('PATCH', path, { title: 'old 0' })).body],
      (await call('POST', `${tasks}/batch`, { update: [{ id: two?.id, title: 'old 1' }] })).body
        .updated,
      (await call('POST', `${tasks}/batch`, { update: [{ id: two?.id, title: 'old 1' }] }, key))
        .body.updated,
      (await call('POST', `${tasks}/batch`, { update: [{ id: two?.id, title: 'old 1' }] }, key))
        .body.updated,
    ]
    for (const task of answers.flat()) expect(task.position).toBe(known.get(task.id))
    await call('DELETE', path)
    const [gone] = (await call('GET', `${tasks}/trash`)).body.tasks
    const back = (await call('POST', `${path}/restore`)).body
    expect([gone.position, back.position]).toEqual(Array(2).fill(one?.position))
    const moment = await inOrder(person)
    expect(moment.map(({ position }) => position)).toEqual(old.map(({ position }) => position))

    const [, , third] = before
    if (!third || !before[0]) throw new Error('no task')
    const moved = await move(person, third, { after: before[0].id })
    expect(moved.status).toBe(200)
    expect(await titlesOf(person)).toEqual(['old 0', 'old 2', 'old 1', 'old 3', 'old 4', 'new'])
    const [, second] = await inOrder(person)
    expect(second?.version).toBe(2)
    expect(second?.id).toBe(third.id)
    expectTotalOrder(await inOrder(person))
    const page = (await person.call('GET', `${tasks}?sort=position&limit=2`)).body
    const rest = (
      await person.call('GET', `${tasks}?sort=position&limit=200&cursor=${page.next_cursor}`)
    ).body
    expect([...page.tasks, ...rest.tasks]).toEqual(await inOrder(person))
  })

  test('stays over the trash, an import and a batch', async () => {
    const person = await ada()
    const all = [await add(person, 'a'), await add(person, 'b'), await add(person, 'c')]
    const [a, b, c] = all
    if (!a || !b || !c) throw new Error('no task')
    await move(person, c, { before: a.id })
    await person.call('DELETE', `${tasks}/${a.id}`)
    const restored = await person.call('POST', `${tasks}/${a.id}/restore`)
    expect(restored.body.position).toBe(a.position)
    expect(await titlesOf(person)).toEqual(['c', 'a', 'b'])

    await person.call('POST', `${tasks}/batch`, { create: [{ title: 'd' }, { title: 'e' }] })
    expect(await titlesOf(person)).toEqual(['c', 'a', 'b', 'd', 'e'])

    const many = Array.from({ length: 12 }, (_, n) => ({ title: `${n}` }))
    const batched = await ada()
    await batched.call('POST', `${tasks}/batch`, { create: many })
    expect(await titlesOf(batched)).toEqual(many.map(({ title }) => title))

    const exported = (await person.call('GET', `${tasks}/export`)).body
    const copy = await ada()
    await copy.call('POST', `${tasks}/import`, exported)
    expect(await titlesOf(copy)).toEqual(['c', 'a', 'b', 'd', 'e'])
    const plain = await ada()
    await plain.call('POST', `${tasks}/import`, { tasks: [{ title: 'z' }, { title: 'y' }] })
    expect(await titlesOf(plain)).toEqual(['z', 'y'])
    expectTotalOrder(await inOrder(copy))
  })

  test('does not depend on the order of ids', async () => {
    const person = await ada()
    const [a, b] = [await add(person, 'a'), await add(person, 'b')]
    await move(person, a, { after: b.id })
    const c = await add(person, 'c')
    expect(await titlesOf(person)).toEqual(['b', 'a', 'c'])
    expect(c.position > b.position).toBe(true)
  })
})
