import { expect, expectTypeOf, test } from 'bun:test'
import { treaty } from '@elysiajs/eden'
import type { App } from '../src/app.ts'
import type { Task } from '../src/tasks/model.ts'
import { service } from './service.ts'

// `tsc` checks this file too: where the types of the routes get vague, it does not compile.

test('a typed client signs up, and adds, lists and completes a task', async () => {
  const { app } = await service()
  const stranger = treaty<App>(app)
  const email = `${Bun.randomUUIDv7()}@example.test`

  const signedUp = await stranger.api.auth.register.post({
    email,
    password: 'correct horse battery',
  })
  if (signedUp.data === null) throw signedUp.error
  const headers = { authorization: `Bearer ${signedUp.data.access_token}` }
  const { tasks } = treaty<App>(app, { headers }).api
  const added = await tasks.post({ title: 'Buy milk', priority: 'high', due_at: null })
  if (added.data === null) throw added.error
  const listed = await tasks.get({ query: { limit: '10' } })
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

test('a refusal is typed as the problem that it is', async () => {
  const { app } = await service()

  const { data, error } = await treaty<App>(app).api.tasks.post({ title: '' })

  expect(data).toBeNull()
  if (error?.status === 422) expectTypeOf(error.value.code).toEqualTypeOf<string>()
  // What the door answers is of no route, and so of no route's types.
  expect(error?.status as unknown).toBe(401)
})

test('what no route takes does not compile', async () => {
  const { app } = await service()
  const { tasks } = treaty<App>(app).api

  // @ts-expect-error: no such priority
  const priority = await tasks.post({ title: 'Buy milk', priority: 'highest' })
  // @ts-expect-error: a title is required
  const title = await tasks.post({ priority: 'high' })
  // @ts-expect-error: a date is text
  const due = await tasks.post({ title: 'Buy milk', due_at: 5 })

  expect([priority, title, due].map(({ data }) => data)).toEqual([null, null, null])
})
