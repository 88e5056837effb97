import { expect, test } from 'bun:test'
import { Elysia, t } from 'elysia'
import { ResponseBody } from '../../src/schema/response.ts'
import { Enum, Integer, Text, Timestamp } from '../../src/schema/types.ts'
import { listTasks } from '../../src/tasks/listing/schema.ts'
import { getTask } from '../../src/tasks/task/operations.ts'
import { service } from '../support/service.ts'

const Thing = t.Object(
  {
    name: Text({ min: 1, max: 5, nullable: true }),
    kind: Enum(['a', 'b']),
    at: Timestamp({}),
    count: Integer({ minimum: 1, maximum: 9 }),
    done: t.Boolean(),
    marks: t.Array(Text({ min: 1, max: 5 })),
    more: t.Union([t.Literal('all'), t.Object({ left: t.Boolean() })]),
    note: t.Optional(Text({ min: 1, max: 5 })),
  },
  { additionalProperties: false },
)
const good = {
  ...{ name: 'x', kind: 'a', at: '2026-01-01T00:00:00.000Z', count: 1, done: true, marks: ['m'] },
  more: 'all',
}

const statusOf = async (body: unknown): Promise<number> => {
  const app = new Elysia({ normalize: false })
    .onError(({ set }) => {
      set.status = 500
      return 'refused'
    })
    .get('/', () => body as never, { response: ResponseBody(Thing) })
  return (await app.handle(new Request('http://localhost/'))).status
}

test.each([
  ['all members', good],
  ['null where null may be', { ...good, name: null }],
  ['a member that may be there', { ...good, note: 'n' }],
  ['the other of two forms', { ...good, more: { left: true } }],
])('a response with %s is sent', async (_, body) => {
  expect(await statusOf(body)).toBe(200)
})

test.each([
  ['an undocumented member', { ...good, password_hash: 'secret' }],
  ['a member that was left out', { ...good, done: undefined }],
  ['null where null may not be', { ...good, at: null }],
  ['a text in place of a number', { ...good, count: '1' }],
  ['half a number', { ...good, count: 1.5 }],
  ['a number in place of a text', { ...good, note: 1 }],
  ['an object in place of a list', { ...good, marks: {} }],
  ['something else in a list', { ...good, marks: ['m', 1] }],
  ['a form that is neither', { ...good, more: 'none' }],
  ['more in a form of two', { ...good, more: { left: true, right: true } }],
  ['a list in place of an object', [good]],
  ['nothing', null],
])('a response with %s is 500', async (_, body) => {
  expect(await statusOf(body)).toBe(500)
})

test('responses with tasks are checked for their members', async () => {
  const { someone } = await service()
  const me = await someone()
  const { body: task } = await me.call('POST', '/api/tasks', { title: 'a title' })
  const check = async (schema: unknown, body: unknown) => {
    const app = new Elysia({ normalize: false })
      .onError(() => new Response('refused', { status: 500 }))
      .get('/', () => body as never, { response: schema as never })
    return (await app.handle(new Request('http://localhost/'))).status
  }

  expect(await check(getTask.response[200], task)).toBe(200)
  expect(await check(getTask.response[200], { ...task, deleted_at: null })).toBe(500)
  expect(await check(listTasks.response[200], { tasks: [task], next_cursor: null })).toBe(200)
  expect(
    await check(listTasks.response[200], { tasks: [{ ...task, change: 1 }], next_cursor: null }),
  ).toBe(500)
})
