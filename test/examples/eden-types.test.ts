import { expect, expectTypeOf, test } from 'bun:test'
import { treaty } from '@elysiajs/eden'
import type { App } from '../../src/app.ts'
import type { List } from '../../src/lists/schema.ts'
import type { Change } from '../../src/tasks/changes/schema.ts'
import type { Task } from '../../src/tasks/task/schema.ts'
import type { TrashedTask } from '../../src/tasks/trash/schema.ts'
import { service } from '../support/service.ts'

// `tsc` checks this file too: if the types of the routes are too wide, it does not compile.

test('a typed client signs up, and adds, lists and completes a task', async () => {
  const { app } = await service()
  const anonymous = treaty<App>(app)
  const email = `${Bun.randomUUIDv7()}@example.test`

  const signedUp = await anonymous.api.auth.register.post({
    email,
    password: 'correct horse battery',
  })
  if (signedUp.data === null) throw signedUp.error
  if (!('access_token' in signedUp.data)) throw new Error('a link was mailed')
  const headers = { authorization: `Bearer ${signedUp.data.access_token}` }
  const { tasks } = treaty<App>(app, { headers }).api
  const added = await tasks.post({ title: 'Buy milk', priority: 'high', due_at: null })
  if (added.data === null) throw added.error
  const listed = await tasks.get({ query: { limit: 10 } })
  const completed = await tasks({ id: added.data.id }).complete.patch({ completed: true })

  expectTypeOf(signedUp.data.user.name).toEqualTypeOf<string | null>()
  expectTypeOf(added.data).toEqualTypeOf<Task>()
  expectTypeOf(added.data.priority).toEqualTypeOf<'low' | 'normal' | 'high' | 'urgent'>()
  expectTypeOf(added.data.due_at).toEqualTypeOf<string | null>()
  expectTypeOf(listed.data?.next_cursor).toEqualTypeOf<string | null | undefined>()
  expect(added.data).toMatchObject({ title: 'Buy milk', priority: 'high', due_at: null })
  expect(listed.data?.tasks).toEqual([added.data])
  expect(completed.data).toEqual({ success: true, completed: true })
})

/** The typed client of a new user. */
const tasksOfSomeone = async () => {
  const { app, someone } = await service()
  const { token } = await someone()
  const { tasks } = treaty<App>(app, { headers: { authorization: `Bearer ${token}` } }).api
  // In an object, because the client has every member, also `then`.
  return { tasks }
}

type Tasks = Awaited<ReturnType<typeof tasksOfSomeone>>['tasks']

const add = async (tasks: Tasks, title: string) => {
  const { data, error } = await tasks.post({ title, tags: ['home', 'shop'] })
  if (data === null) throw error
  return data
}

test('a typed client filters, and updates a task with If-Match', async () => {
  const { tasks } = await tasksOfSomeone()
  const milk = await add(tasks, 'Buy milk')
  await add(tasks, 'Pay the rent')

  const found = await tasks.get({
    query: { completed: false, tag: ['home', 'shop'], q: 'MILK', sort: '-priority' },
  })
  const asKnown = { headers: { 'if-match': '"1"' } }
  const first = await tasks({ id: milk.id }).patch({ priority: 'high' }, asKnown)
  const second = await tasks({ id: milk.id }).patch({ due_at: null }, asKnown)

  expectTypeOf(found.data?.tasks).toEqualTypeOf<Task[] | undefined>()
  expectTypeOf(first.data).toEqualTypeOf<Task | null>()
  expect(found.data?.tasks).toEqual([milk])
  expect(first.data).toMatchObject({ priority: 'high', version: 2 })
  expect([second.data, second.status]).toEqual([null, 412])
  if (second.error?.status === 412) expect(second.error.value.code).toBe('version-mismatch')
})

test('a typed client keeps a copy with batches and changes', async () => {
  const { tasks } = await tasksOfSomeone()
  const { id } = await add(tasks, 'Buy milk')
  const copy = new Map<string, Task>()
  const keep = (change: Change) => {
    if ('task' in change) copy.set(change.task.id, change.task)
    if ('id' in change) copy.delete(change.id)
  }

  const snapshot = await tasks.changes.get({ query: {} })
  snapshot.data?.changes.forEach(keep)
  const before = [...copy.keys()]
  const done = await tasks.batch.post({ create: [{ title: 'Pay the rent' }], delete: [id] })
  const since = snapshot.data?.next ?? ''
  const news = await tasks.changes.get({ query: { since } })
  news.data?.changes.forEach(keep)

  expectTypeOf(news.data?.changes).toEqualTypeOf<Change[] | undefined>()
  expectTypeOf(done.data?.created).toEqualTypeOf<Task[] | undefined>()
  expectTypeOf(done.data?.deleted).toEqualTypeOf<string[] | undefined>()
  expect(before).toEqual([id])
  expect([...copy.values()]).toEqual(done.data?.created ?? [])
  expect(done.data?.deleted).toEqual([id])
})

test('a typed client lists the trash and restores a task', async () => {
  const { tasks } = await tasksOfSomeone()
  const { id } = await add(tasks, 'Buy milk')
  const deleted = await tasks({ id }).delete()

  const trash = await tasks.trash.get({ query: { limit: 10 } })
  const restored = await tasks({ id }).restore.post()

  expectTypeOf(trash.data?.tasks).toEqualTypeOf<TrashedTask[] | undefined>()
  expectTypeOf(restored.data).toEqualTypeOf<Task | null>()
  expect(deleted.data).toEqual({ success: true })
  expect(trash.data?.tasks.map((task) => task.id)).toEqual([id])
  expect(restored.data).toMatchObject({ id, version: 3 })
})

test('a typed client exports and imports', async () => {
  const { tasks } = await tasksOfSomeone()
  await add(tasks, 'Buy milk')
  const exported = await tasks.export.get({ query: { format: 'csv' } })

  const imported = await tasks.import.post(
    { tasks: [{ title: 'Pay the rent' }] },
    { query: { dry_run: true } },
  )

  expectTypeOf(exported.data).toEqualTypeOf<{ lists: List[]; tasks: Task[] } | string | null>()
  type Dropped = { member: string; count: number }[]
  expectTypeOf(imported.data).toEqualTypeOf<
    | { imported: number; updated: number; ids: string[]; dropped: Dropped }
    | { valid: number; dropped: Dropped }
    | null
  >()
  expect(exported.data).toStartWith('id,user_id,title,')
  expect(imported.data).toEqual({ valid: 1, dropped: [] })
})

test('an error is typed as its problem', async () => {
  const { app } = await service()

  const { data, error } = await treaty<App>(app).api.tasks.post({ title: '' })

  expect(data).toBeNull()
  if (error?.status === 422) expectTypeOf(error.value.code).toEqualTypeOf<string>()
  // Responses of the route guard belong to no route and have no type.
  expect(error?.status as unknown).toBe(401)
})

test('a query accepts booleans and numbers, and their text', async () => {
  const { tasks } = await tasksOfSomeone()
  for (const title of ['Buy milk', 'Pay the rent']) await add(tasks, title)

  const first = await tasks.get({ query: { completed: false, limit: 1, sort: 'title' } })
  const none = await tasks.get({ query: { completed: true, limit: '1' } })
  const text = await tasks.get({ query: { completed: 'false' } })
  const changes = await tasks.changes.get({ query: { limit: 1 } })
  const checked = await tasks.import.post({ tasks: [{ title: 'x' }] }, { query: { dry_run: true } })
  const tooMany = await tasks.get({ query: { limit: 201 } })

  expect(first.data?.tasks.map(({ title }) => title)).toEqual(['Buy milk'])
  expect(none.data?.tasks).toEqual([])
  expect(text.data?.tasks).toHaveLength(2)
  expect(changes.data?.has_more).toBe(true)
  expect(checked.data).toEqual({ valid: 1, dropped: [] })
  expect(tooMany.error?.status as unknown).toBe(422)
})

test('invalid requests do not compile', async () => {
  const { app } = await service()
  const { tasks } = treaty<App>(app).api

  // @ts-expect-error: no such priority
  const priority = await tasks.post({ title: 'Buy milk', priority: 'highest' })
  // @ts-expect-error: a title is required
  const title = await tasks.post({ priority: 'high' })
  // @ts-expect-error: no such sort key
  const sorted = await tasks.get({ query: { sort: 'tags' } })
  // @ts-expect-error: a number is no boolean
  const flagged = await tasks.get({ query: { completed: 1 } })
  // @ts-expect-error: no such operation
  const batched = await tasks.batch.post({ remove: ['1'] })
  // @ts-expect-error: a date is text
  const due = await tasks.post({ title: 'Buy milk', due_at: 5 })

  for (const { data } of [priority, title, sorted, flagged, batched, due]) expect(data).toBeNull()
})
