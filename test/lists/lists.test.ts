import { describe, expect, test } from 'bun:test'
import { sql } from 'drizzle-orm'
import { comparable, database, type Someone, service } from '../support/service.ts'

const path = '/api/lists'
const tasks = '/api/tasks'
const ada = async () => (await service()).someone()
const made = async ({ call }: Pick<Someone, 'call'>, name: string) =>
  (await call('POST', path, { name })).body
const namesOf = async ({ call }: Pick<Someone, 'call'>) =>
  (await call('GET', path)).body.lists.map(({ name }: { name: string }) => name)

describe('a list', () => {
  test('has its name, is at the end, and is where Location says', async () => {
    const { call } = await ada()
    const { status, headers, body } = await call('POST', path, { name: 'Errands' })

    expect([status, headers.get('location'), headers.get('etag')]).toEqual([
      201,
      `${path}/${body.id}`,
      '"1"',
    ])
    expect(body).toEqual({
      id: expect.stringMatching(/^[0-9a-f-]{36}$/),
      name: 'Errands',
      position: expect.stringMatching(/^\d{10}$/),
      task_count: 0,
      version: 1,
      created_at: expect.stringMatching(/Z$/),
      updated_at: body.created_at,
    })
    const read = await call('GET', `${path}/${body.id}`)
    expect([read.body, read.headers.get('etag')]).toEqual([body, '"1"'])
    const known = await call('GET', `${path}/${body.id}`, undefined, { 'if-none-match': '"1"' })
    expect([known.status, known.text]).toEqual([304, ''])
    await made({ call }, 'Work')
    expect(await namesOf({ call })).toEqual(['Errands', 'Work'])
  })

  test('is renamed, and keeps everything else', async () => {
    const { call } = await ada()
    const list = await made({ call }, 'Errands')
    const other = await call('PATCH', `${path}/${list.id}`, { name: 'x' }, { 'if-match': '"7"' })
    expect([other.status, other.headers.get('etag')]).toEqual([412, '"1"'])
    const empty = await call('PATCH', `${path}/${list.id}`, {})
    expect([empty.status, empty.body]).toEqual([200, list])
    const stale = await call('PATCH', `${path}/${list.id}`, {}, { 'if-match': '"7"' })
    expect(stale.status).toBe(412)

    const { status, headers, body } = await call(
      'PATCH',
      `${path}/${list.id}`,
      { name: 'ERRANDS' },
      { 'if-match': '"1"' },
    )
    expect([status, headers.get('etag')]).toEqual([200, '"2"'])
    expect(body).toEqual({ ...list, name: 'ERRANDS', version: 2, updated_at: body.updated_at })
    expect((await call('GET', `${path}/${list.id}`)).body).toEqual(body)
  })

  test.each([
    ['Errands', 'ERRANDS'],
    ['Café', 'Cafe\u0301'],
    ['Straße', 'STRASSE'],
    ['ΟΔΟΣ', 'οδος'],
    ['ﬁles', 'FILES'],
  ])('%s and %s are the same name', async (one, other) => {
    const { call } = await ada()
    const bob = await ada()
    const list = await made({ call }, one)
    const free = await made({ call }, 'free')
    const again = await call('POST', path, { name: other })
    const renamed = await call('PATCH', `${path}/${free.id}`, { name: other })
    expect([again, renamed].map(({ status, body }) => [status, body.code])).toEqual(
      Array(2).fill([409, 'list-name-taken']),
    )
    expect(await namesOf({ call })).toEqual([one, 'free'])
    expect((await bob.call('POST', path, { name: other })).status).toBe(201)
    await call('DELETE', `${path}/${list.id}`)
    expect((await call('POST', path, { name: other })).status).toBe(201)
  })

  test.each(['', '   ', '\u200b', 'x'.repeat(101), 7, null])('is not named %p', async (name) => {
    const { call } = await ada()
    const { status, body } = await call('POST', path, { name })
    expect([status, body.errors[0].pointer]).toEqual([422, '/name'])
  })

  test('is created at the same time by 20 requests once', async () => {
    const { call } = await ada()
    const all = await Promise.all(
      Array.from({ length: 20 }, (_, n) => call('POST', path, { name: n % 2 ? 'same' : 'SAME' })),
    )
    expect(all.map(({ status }) => status).sort()).toEqual([201, ...Array(19).fill(409)])
    expect(await namesOf({ call })).toHaveLength(1)
  })

  test('is one of at most 500, also if they are created at once', async () => {
    const here = await service({ RATE_LIMIT: '1000' })
    const { call, id } = await here.someone()
    const { db } = await database()
    await db.execute(sql`
      insert into lists (user_id, id, name, name_key, slot, position, created_at, updated_at, change)
      select ${id}::uuid, gen_random_uuid(), 'n' || n, 'n' || n, n, '4' || n, now(), now(), 1
      from generate_series(1, 495) as n`)
    const all = await Promise.all(
      Array.from({ length: 20 }, (_, n) => call('POST', path, { name: `new ${n}` })),
    )
    expect(all.map(({ status }) => status).sort()).toEqual([
      ...Array(5).fill(201),
      ...Array(15).fill(409),
    ])
    expect(all.find(({ status }) => status === 409)?.body.code).toBe('too-many-lists')
    expect(await namesOf({ call })).toHaveLength(500)
    const [first] = (await call('GET', path)).body.lists
    await call('DELETE', `${path}/${first.id}`)
    expect((await call('POST', path, { name: 'one more' })).status).toBe(201)
  })
})

describe('the order of lists', () => {
  test('is changed by moves only', async () => {
    const { call } = await ada()
    const [a, b, c] = [
      await made({ call }, 'a'),
      await made({ call }, 'b'),
      await made({ call }, 'c'),
    ]
    const move = (list: { id: string }, body: object, headers = {}) =>
      call('POST', `${path}/${list.id}/move`, body, headers)

    const moved = await move(c, { before: a.id })
    expect([moved.status, moved.headers.get('etag')]).toEqual([200, '"2"'])
    expect(moved.body).toMatchObject({ id: c.id, name: 'c', version: 2, task_count: 0 })
    expect(await namesOf({ call })).toEqual(['c', 'a', 'b'])
    await move(a, { after: b.id })
    expect(await namesOf({ call })).toEqual(['c', 'b', 'a'])
    await move(a, { after: c.id })
    expect(await namesOf({ call })).toEqual(['c', 'a', 'b'])
    await call('PATCH', `${path}/${a.id}`, { name: 'A' })
    expect(await namesOf({ call })).toEqual(['c', 'A', 'b'])

    expect((await move(a, { before: b.id }, { 'if-match': '"1"' })).status).toBe(412)
    for (const [body, pointer] of [
      [{}, ''],
      [{ before: a.id }, '/before'],
      [{ after: Bun.randomUUIDv7() }, '/after'],
      [{ after: (await made(await ada(), 'of Bob')).id }, '/after'],
      [{ before: b.id, after: c.id }, '/after'],
    ] as const) {
      const { status, body: problem } = await move(a, body)
      expect([status, problem.errors[0].pointer]).toEqual([422, pointer])
    }
    expect(await namesOf({ call })).toEqual(['c', 'A', 'b'])
  })
})

describe('tasks in lists', () => {
  const titlesIn = async ({ call }: Pick<Someone, 'call'>, list: string) =>
    (await call('GET', `${tasks}?list_id=${list}&sort=position`)).body.tasks.map(
      ({ title }: { title: string }) => title,
    )

  test('are filtered and counted; no list is the inbox', async () => {
    const { call } = await ada()
    const [one, two] = [await made({ call }, 'one'), await made({ call }, 'two')]
    for (const [title, list_id] of [
      ['a', one.id],
      ['b', one.id.toUpperCase()],
      ['c', null],
      ['d', undefined],
    ])
      await call('POST', tasks, { title, list_id })
    const gone = (await call('POST', tasks, { title: 'e', list_id: one.id })).body
    await call('DELETE', `${tasks}/${gone.id}`)

    expect(await titlesIn({ call }, one.id)).toEqual(['a', 'b'])
    expect(await titlesIn({ call }, two.id)).toEqual([])
    expect(await titlesIn({ call }, 'inbox')).toEqual(['c', 'd'])
    for (const other of ['x', '00000000-0000-0000-0000-000000000000', Bun.randomUUIDv7()])
      expect(await titlesIn({ call }, other)).toEqual([])
    const { lists } = (await call('GET', path)).body
    expect(lists.map((list: { task_count: number }) => list.task_count)).toEqual([2, 0])
    expect((await call('GET', `${path}/${one.id}`)).body.task_count).toBe(2)
    const renamed = await call('PATCH', `${path}/${one.id}`, { name: 'uno' })
    expect(renamed.body.task_count).toBe(2)
  })

  test('cannot be in a list that does not exist, or that another user has, by any route', async () => {
    const { call } = await ada()
    const bob = await ada()
    const theirs = (await made(bob, 'of Bob')).id
    const { id } = (await call('POST', tasks, { title: 'x' })).body
    const asked = async (list_id: string) => [
      comparable(await call('POST', tasks, { title: 'x', list_id })),
      comparable(await call('PUT', `${tasks}/${id}`, { title: 'x', list_id })),
      comparable(await call('PATCH', `${tasks}/${id}`, { list_id })),
      comparable(await call('POST', `${tasks}/${id}/move`, { list_id })),
      comparable(await call('POST', `${tasks}/import`, { tasks: [{ title: 'x', list_id }] })),
      comparable(
        await call('POST', `${tasks}/batch`, {
          create: [{ title: 'x' }, { title: 'x', list_id }],
          update: [{ id, list_id }],
        }),
      ),
    ]
    const absent = await asked(Bun.randomUUIDv7())
    expect(absent.map(({ status }) => status)).toEqual(Array(6).fill(422))
    expect(
      absent.map(({ text }) =>
        JSON.parse(text).errors.map(({ pointer }: { pointer: string }) => pointer),
      ),
    ).toEqual([
      ...Array(4).fill(['/list_id']),
      ['/tasks/0'],
      ['/create/1/list_id', '/update/0/list_id'],
    ])
    expect(await asked(theirs)).toEqual(absent)
    expect(await asked('nothing')).toEqual(absent)
    expect((await call('GET', tasks)).body.tasks).toHaveLength(1)
    expect((await bob.call('GET', `${path}/${theirs}`)).body.task_count).toBe(0)
  })

  test('change it by a patch or a replacement, and keep their position', async () => {
    const { call } = await ada()
    const list = await made({ call }, 'x')
    const task = (await call('POST', tasks, { title: 'a' })).body
    const patched = (await call('PATCH', `${tasks}/${task.id}`, { list_id: list.id })).body
    expect(patched).toMatchObject({ list_id: list.id, position: task.position, version: 2 })
    const kept = (await call('PATCH', `${tasks}/${task.id}`, { title: 'b' })).body
    expect(kept).toMatchObject({ list_id: list.id, position: task.position })
    const put = (await call('PUT', `${tasks}/${task.id}`, { title: 'c' })).body
    expect(put).toMatchObject({ list_id: null, position: task.position })
    const batch = await call('POST', `${tasks}/batch`, {
      update: [{ id: task.id, list_id: list.id }],
      create: [{ title: 'd', list_id: list.id }],
    })
    expect(batch.body.updated[0].list_id).toBe(list.id)
    expect(await titlesIn({ call }, list.id)).toEqual(['c', 'd'])
  })

  test.each(['inbox', 'trash', undefined])('go to %p when the list is deleted', async (goal) => {
    const { call } = await ada()
    const list = await made({ call }, 'x')
    const inbox = (await call('POST', tasks, { title: 'inbox' })).body
    const created = []
    for (const title of ['a', 'b', 'trashed'])
      created.push((await call('POST', tasks, { title, list_id: list.id })).body)
    await call('DELETE', `${tasks}/${created[2].id}`)
    const since = (await call('GET', `${tasks}/changes`)).body.next

    const stale = await call('DELETE', `${path}/${list.id}`, undefined, { 'if-match': '"9"' })
    expect([stale.status, stale.headers.get('etag')]).toEqual([412, '"1"'])
    const query = goal === undefined ? '' : `?tasks=${goal}`
    const { status, body } = await call('DELETE', `${path}/${list.id}${query}`)
    expect([status, body]).toEqual([200, { success: true }])

    expect((await call('GET', `${path}/${list.id}`)).body.code).toBe('list-not-found')
    expect((await call('DELETE', `${path}/${list.id}`)).status).toBe(404)
    const live = await titlesIn({ call }, 'inbox')
    const trash = (await call('GET', `${tasks}/trash`)).body.tasks
    const changes = (await call('GET', `${tasks}/changes?since=${since}`)).body.changes
    if (goal === 'trash') {
      expect(live).toEqual(['inbox'])
      expect(trash.map(({ title }: { title: string }) => title).sort()).toEqual([
        'a',
        'b',
        'trashed',
      ])
      expect(changes.map(({ op }: { op: string }) => op)).toEqual(['delete', 'delete'])
    } else {
      expect(live).toEqual(['inbox', 'a', 'b'])
      expect(
        changes.map(({ op, task }: { op: string; task: { title: string; list_id: null } }) => [
          op,
          task.title,
          task.list_id,
        ]),
      ).toEqual([
        ['upsert', 'a', null],
        ['upsert', 'b', null],
      ])
    }
    // A task in the trash is restored to the inbox.
    const restored = await call('POST', `${tasks}/${created[2].id}/restore`)
    expect([restored.status, restored.body.list_id]).toEqual([200, null])
    expect((await call('GET', `${tasks}/${inbox.id}`)).body).toEqual(inbox)
  })

  test('are refused where they should go', async () => {
    const { call } = await ada()
    const list = await made({ call }, 'x')
    const { status, body } = await call('DELETE', `${path}/${list.id}?tasks=gone`)
    expect([status, body.errors[0].pointer]).toEqual([422, '/tasks'])
    const unknown = await call('DELETE', `${path}/${list.id}?task=trash`)
    expect([unknown.status, unknown.body.errors[0].pointer]).toEqual([422, '/task'])
  })

  test('that are created while the list is deleted are in the inbox or refused', async () => {
    const { call } = await (await service({ RATE_LIMIT: '1000' })).someone()
    for (let round = 0; round < 8; round++) {
      const list = await made({ call }, `round ${round}`)
      const add = (n: number) => call('POST', tasks, { title: `${round} ${n}`, list_id: list.id })
      const [deleted, ...added] = await Promise.all([
        Bun.sleep(round).then(() => call('DELETE', `${path}/${list.id}`)),
        ...Array.from({ length: 12 }, (_, n) => add(n)),
      ])
      expect(deleted.status).toBe(200)
      expect(added.every(({ status }) => status === 201 || status === 422)).toBe(true)
      const kept = added.filter(({ status }) => status === 201).map(({ body }) => body.title)
      const found = (await call('GET', `${tasks}?q=${round}&list_id=inbox&limit=200`)).body.tasks
      expect(
        found
          .map(({ title }: { title: string }) => title)
          .filter((title: string) => title.startsWith(`${round} `))
          .sort(),
      ).toEqual(kept.sort())
    }
  })
})

test('an account with lists and tasks is erased', async () => {
  const { call, id, password } = await ada()
  const list = await made({ call }, 'x')
  await call('POST', tasks, { title: 'a', list_id: list.id })
  await call('DELETE', `${path}/${(await made({ call }, 'y')).id}`)
  expect((await call('DELETE', '/api/auth/me', { current_password: password })).status).toBe(204)
  const { db } = await database()
  for (const table of ['lists', 'list_tombstones', 'tasks']) {
    const found = await db
      .select({ one: sql`1` })
      .from(sql`${sql.identifier(table)}`)
      .where(sql`user_id = ${id}`)
    expect(found).toEqual([])
  }
})
