import { expect, test } from 'bun:test'
import { openStream } from '../support/event-stream.ts'
import { type Someone, service } from '../support/service.ts'
import { randomOf } from '../support/walk-pages.ts'

const feed = '/api/tasks/changes'
const long = { RATE_LIMIT: '100000' }
type Caller = Pick<Someone, 'call'>
type Named = { id: string; name: string; version: number }

const add = async ({ call }: Caller, name: string): Promise<Named> =>
  (await call('POST', '/api/lists', { name })).body

/** A copy of tasks and lists, by the feed alone. */
const copyOf = ({ call }: Caller) => {
  const tasks = new Map<string, unknown>()
  const lists = new Map<string, Named>()
  let since = ''
  return {
    tasks,
    lists,
    refresh: async (limit: number) => {
      for (;;) {
        const { status, body } = await call('GET', `${feed}?include=lists&limit=${limit}${since}`)
        expect(status).toBe(200)
        for (const { op, task, list, id, list_id } of body.changes) {
          if (list) lists.set(list.id, { ...list, task_count: 0 })
          else if (list_id) lists.delete(list_id)
          else if (task) tasks.set(task.id, task)
          else tasks.delete(id)
          expect(op).toBe(list || task ? 'upsert' : 'delete')
        }
        since = `&since=${body.next}`
        if (!body.has_more) return body.changes.length
      }
    },
  }
}

test('a copy with lists equals the database, over 250 random writes and pages of any size', async () => {
  const person = await (await service(long)).someone()
  const { call } = person
  const random = randomOf(29)
  const copies = [copyOf(person), copyOf(person)]
  let lists: Named[] = []
  const ids: string[] = []
  for (let n = 0; n < 250; n++) {
    const list = lists.length > 0 ? random.of(lists) : undefined
    const other = lists.length > 1 ? random.of(lists.filter((one) => one !== list)) : undefined
    const task = ids.length > 0 ? random.of(ids) : undefined
    const write = random.below(8)
    if (write === 0 || !list) await add(person, `list ${n}`)
    else if (write === 1) await call('PATCH', `/api/lists/${list.id}`, { name: `renamed ${n}` })
    else if (write === 2 && other)
      await call('POST', `/api/lists/${list.id}/move`, { before: other.id })
    else if (write === 3)
      await call('DELETE', `/api/lists/${list.id}?tasks=${random.of(['inbox', 'trash'])}`)
    else if (write === 4 && task) await call('DELETE', `/api/tasks/${task}`)
    else if (write === 5 && task)
      await call('POST', `/api/tasks/${task}/move`, { list_id: list.id })
    else ids.push((await call('POST', '/api/tasks', { title: `${n}`, list_id: list.id })).body.id)
    lists = (await call('GET', '/api/lists')).body.lists
    if (random.chance(30)) await random.of(copies).refresh(1 + random.below(6))
  }
  const stored = (await call('GET', '/api/tasks?limit=200')).body.tasks
  for (const copy of [...copies, copyOf(person)]) {
    await copy.refresh(3)
    expect(await copy.refresh(3)).toBe(0)
    const byId = (a: { id: string }, b: { id: string }) => (a.id < b.id ? -1 : 1)
    expect([...copy.lists.values()].sort(byId)).toEqual(
      lists.map((list) => ({ ...list, task_count: 0 })).sort(byId),
    )
    expect(([...copy.tasks.values()] as Named[]).sort(byId)).toEqual(stored.sort(byId))
  }
})

test('a list has all its members in the feed', async () => {
  const person = await (await service()).someone()
  const list = await add(person, 'Errands')
  await person.call('POST', '/api/tasks', { title: 'x', list_id: list.id })
  const { body } = await person.call('GET', `${feed}?include=lists`)
  const read = (await person.call('GET', `/api/lists/${list.id}`)).body
  expect(body.changes[0]).toEqual({ op: 'upsert', list: read })
  expect(read.task_count).toBe(1)
})

test('without include=lists the feed has tasks only, and a copy without lists starts again for them', async () => {
  const here = await service()
  const person = await here.someone()
  const bob = await here.someone()
  await add(bob, 'of Bob')
  const list = await add(person, 'Errands')
  await person.call('POST', '/api/tasks', { title: 'x', list_id: list.id })
  const plain = (await person.call('GET', feed)).body
  expect(plain.changes.map(({ task }: { task: { title: string } }) => task.title)).toEqual(['x'])
  const refused = await person.call('GET', `${feed}?include=lists&since=${plain.next}`)
  expect([refused.status, refused.body.code]).toEqual([410, 'sync-expired'])
  const full = (await person.call('GET', `${feed}?include=lists`)).body
  expect(full.changes).toHaveLength(2)

  await person.call('DELETE', `/api/lists/${list.id}`)
  const goOn = async (query: string) =>
    (await person.call('GET', `${feed}?${query}`)).body.changes.map(
      (one: { op: string; list_id?: string }) => [one.op, one.list_id],
    )
  expect(await goOn(`since=${plain.next}`)).toEqual([['upsert', undefined]])
  expect(await goOn(`since=${full.next}`)).toEqual([['upsert', undefined]])
  expect((await goOn(`include=lists&since=${full.next}`)).sort()).toEqual([
    ['delete', list.id],
    ['upsert', undefined],
  ])
  const wrong = await person.call('GET', `${feed}?include=trash`)
  expect([wrong.status, wrong.body.errors[0].pointer]).toEqual([422, '/include'])
})

test('a stream has lists if it asks for them, also after it was interrupted', async () => {
  const here = await service()
  const person = await here.someone()
  const token = person.token
  const withLists = await openStream(here.app, { token, query: '?include=lists' })
  const plain = await openStream(here.app, { token })
  const list = await add(person, 'Errands')
  await person.call('POST', '/api/tasks', { title: 'x', list_id: list.id })
  await withLists.until(3)
  await plain.until(2)
  const [, made, task] = withLists.events
  expect([made?.event, made?.data.list.name]).toEqual(['upsert', 'Errands'])
  expect([task?.event, task?.data.title]).toEqual(['upsert', 'x'])
  expect(plain.events.map(({ data }) => data.title)).toEqual([undefined, 'x'])
  await withLists.close()

  await person.call('DELETE', `/api/lists/${list.id}?tasks=trash`)
  const again = await openStream(here.app, {
    token,
    query: '?include=lists',
    ...(made?.id && { lastEventId: made.id }),
  })
  await again.until(3)
  expect(again.events.slice(1).map(({ event, data }) => [event, data.list_id ?? data.id])).toEqual(
    expect.arrayContaining([
      ['delete', list.id],
      ['delete', task?.data.id],
    ]),
  )
  const refused = await openStream(here.app, {
    token,
    query: '?include=lists',
    ...(plain.events[1]?.id && { lastEventId: plain.events[1].id }),
  })
  expect([refused.status, refused.code]).toEqual([410, 'sync-expired'])
  await again.close()
  await plain.close()
})
