import { afterAll, beforeAll, expect, test } from 'bun:test'
import { createClient } from '../../client/src/client.ts'
import { isProblem } from '../../client/src/problem.ts'
import { listening } from '../support/listening.ts'

let here: Awaited<ReturnType<typeof listening>>
beforeAll(async () => {
  here = await listening()
})
afterAll(() => here.stop())

const newClient = async () => {
  const { token } = await here.someone()
  return createClient({ baseUrl: here.origin, accessToken: token })
}
const reasonOf = (promise: Promise<unknown>) => promise.catch((reason: unknown) => reason)

test('lists are created, read, renamed, moved and deleted', async () => {
  const { lists, tasks } = await newClient()
  const home = await lists.create({ name: 'Home' })
  const garden = await lists.create({ name: 'Garden' })
  const task = await tasks.create({ title: 'Mow', list_id: garden.id })
  expect((await lists.all()).map(({ name }) => name)).toEqual(['Home', 'Garden'])
  await lists.move(garden, { before: home.id })
  expect((await lists.all()).map(({ name }) => name)).toEqual(['Garden', 'Home'])

  const renamed = await lists.rename(home, 'House')
  expect([renamed.name, (await lists.get(home.id)).name]).toEqual(['House', 'House'])
  // Read before it was renamed.
  expect(isProblem(await reasonOf(lists.rename(home, 'x')), 'version-mismatch')).toBe(true)
  expect(isProblem(await reasonOf(lists.delete(home)), 'version-mismatch')).toBe(true)

  await lists.delete(garden.id)
  expect((await tasks.get(task.id)).list_id).toBeNull()
  await tasks.move(task.id, { list_id: home.id })
  await lists.delete(renamed, { tasks: 'trash' })
  expect(isProblem(await reasonOf(tasks.get(task.id)), 'task-not-found')).toBe(true)
  expect(await lists.all()).toEqual([])
})

test('tasks are moved and counted', async () => {
  const { tasks } = await newClient()
  const first = await tasks.create({ title: 'a', tags: ['x', 'y'] })
  const second = await tasks.create({ title: 'b', tags: ['x'] })
  const moved = await tasks.move(second, { before: first.id })
  expect(moved.position < first.position).toBe(true)
  expect(isProblem(await reasonOf(tasks.move(second, {})), 'version-mismatch')).toBe(true)
  expect(await tasks.counts()).toMatchObject({ open: 2, lists: [{ list_id: null, open: 2 }] })
  expect(await tasks.tags()).toEqual([
    { name: 'x', count: 2 },
    { name: 'y', count: 1 },
  ])
})

test('the completion of a recurring task has the next one', async () => {
  const { tasks } = await newClient()
  const recurrence = { rrule: 'FREQ=DAILY' }
  const task = await tasks.create({ title: 'a', due_on: '9999-12-30', recurrence })
  const { next, version } = await tasks.complete(task, true)
  expect([next?.due_on, next?.series_id, version]).toEqual(['9999-12-31', task.id, 2])
})
