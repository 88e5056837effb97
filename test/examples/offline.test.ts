import { afterAll, afterEach, beforeAll, describe, expect, expectTypeOf, test } from 'bun:test'
import { mkdtemp, rm, stat } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createApi, Offline, RetryLater, SignedOut } from '../../examples/offline/api.ts'
import { openCopy, type Task } from '../../examples/offline/copy.ts'
import { sync } from '../../examples/offline/sync.ts'
import { watch } from '../../examples/offline/watch.ts'
import type { Task as Served } from '../../src/tasks/task/schema.ts'
import { listening } from '../support/listening.ts'
import { running } from '../support/running.ts'
import { pass, realTime, type Someone } from '../support/service.ts'

let here: Awaited<ReturnType<typeof listening>>
let folder = ''
beforeAll(async () => {
  here = await listening()
  folder = await mkdtemp(join(tmpdir(), 'taskwarden-offline-'))
})
afterEach(realTime)
afterAll(async () => {
  await here.stop()
  await rm(folder, { recursive: true, force: true })
})

const nowhere = 'http://127.0.0.1:1'
type Person = Pick<Someone, 'email' | 'password'>

/** A device of a user: its file and its connection to the service. */
const deviceOf = async (person: Person, url = here.origin) => {
  const file = join(folder, `${Bun.randomUUIDv7()}.json`)
  const waited: number[] = []
  /** A restart: only the file remains. */
  const opened = () => openCopy(file)
  const syncBy = async (through: string) => {
    const copy = await opened()
    const sleep = async (seconds: number) => void waited.push(seconds)
    const { session } = copy.state
    try {
      await sync(copy, createApi({ url: through, ...person, session, sleep }))
    } finally {
      await copy.save()
    }
    return copy
  }
  return {
    file,
    waited,
    opened,
    sync: (through = url) => syncBy(through),
    add: async (title: string) => (await opened()).add(title),
    change: async (title: string, after: Partial<Task>) => {
      const copy = await opened()
      await copy.change(named(copy.list(), title).id, after)
    },
    remove: async (title: string) => {
      const copy = await opened()
      await copy.remove(named(copy.list(), title).id)
    },
    list: async () => (await opened()).list(),
    notices: async () => (await opened()).state.notices,
  }
}

const named = (tasks: Task[], title: string): Task => {
  const [task, ...others] = tasks.filter((one) => one.title === title)
  if (task === undefined || others.length > 0) throw new Error(`not one task ${title}`)
  return task
}

type Weather = (forward: () => Promise<Response>) => Promise<Response>
/** A proxy between device and service that can change responses. */
const between = (weather: Weather) => {
  const server = Bun.serve({
    hostname: '127.0.0.1',
    port: 0,
    fetch: async (request) => {
      const { pathname, search } = new URL(request.url)
      const { method, headers } = request
      const body = await request.bytes()
      return weather(() =>
        fetch(`${here.origin}${pathname}${search}`, {
          method,
          headers,
          body: body.length > 0 ? body : null,
        }),
      )
    },
  })
  return { url: server.url.origin, [Symbol.dispose]: () => void server.stop(true) }
}

const titles = (tasks: { title: string }[]) => tasks.map(({ title }) => title).sort()
const everything = async ({ call }: Someone): Promise<Task[]> =>
  (await call('GET', '/api/tasks?limit=200')).body.tasks

test('edits wait in the file over restarts and are sent in order', async () => {
  const ada = await here.someone()
  const device = await deviceOf(ada)

  await device.add('Buy milk')
  await device.add('Pay the rent')
  await device.change('Buy milk', { completed: true })
  await device.change('Buy milk', { title: 'Buy oat milk', tags: ['shop'] })
  await device.remove('Pay the rent')
  const offline = await device.sync(nowhere).catch((error: unknown) => error)
  const before = await device.list()
  const { state } = await device.sync()

  expect(offline).toBeInstanceOf(Offline)
  expect(titles(before)).toEqual(['Buy oat milk'])
  expect([state.outbox, state.notices]).toEqual([[], []])
  expect(await everything(ada)).toMatchObject([
    { title: 'Buy oat milk', completed: true, tags: ['shop'], version: 3 },
  ])
  expect(await device.list()).toEqual(await everything(ada))
  // The file contains the token.
  expect((await stat(device.file)).mode & 0o777).toBe(0o600)
})

test('an edit whose response was lost is not repeated', async () => {
  const ada = await here.someone()
  const device = await deviceOf(ada)
  await device.add('Buy milk')
  await device.sync()
  await device.add('Pay the rent')
  await device.change('Buy milk', { priority: 'high' })
  await device.change('Buy milk', { priority: 'low' })
  const lost = { count: 0 }
  using bad = between(async (forward) => {
    const answer = await forward()
    const isEdit = (await answer.clone().text()).includes('"version"')
    lost.count += 1
    return isEdit ? new Response('no answer', { status: 502 }) : answer
  })

  // Each time the first edit of the outbox is applied but not confirmed.
  for (let time = 0; time < 2; time++)
    expect(await device.sync(bad.url).catch((error: unknown) => error)).toBeInstanceOf(RetryLater)
  const { state } = await device.sync()

  expect(lost.count).toBeGreaterThan(6)
  expect(state.notices).toEqual([])
  expect(titles(await everything(ada))).toEqual(['Buy milk', 'Pay the rent'])
  expect(named(await everything(ada), 'Buy milk').priority).toBe('low')
})

test('an own change whose response was lost is not a conflict', async () => {
  const ada = await here.someone()
  const device = await deviceOf(ada)
  await device.add('Buy milk')
  await device.sync()
  await device.change('Buy milk', { priority: 'high' })
  await device.change('Buy milk', { description: 'oat' })
  using bad = between(async (forward) => {
    await forward()
    return new Response('no answer', { status: 504 })
  })

  await device.sync(bad.url).catch(() => undefined)
  const { state } = await device.sync()

  expect(state.notices).toEqual([])
  expect(await everything(ada)).toMatchObject([
    { priority: 'high', description: 'oat', version: 3 },
  ])
})

describe('a task that was changed on two devices', () => {
  /** A task on two devices. */
  const shared = async () => {
    const ada = await here.someone()
    const [one, two] = [await deviceOf(ada), await deviceOf(ada)]
    await one.add('Buy milk')
    await one.sync()
    await two.sync()
    return { ada, one, two }
  }

  test("is merged by member; a member that both changed keeps the service's value and is reported", async () => {
    const { ada, one, two } = await shared()
    await one.change('Buy milk', { priority: 'urgent', description: 'oat' })
    await two.change('Buy milk', { priority: 'low' })
    await two.change('Buy milk', { description: 'soy', due_at: '2026-12-24T18:00:00.000Z' })
    await two.change('Buy milk', { tags: ['shop'] })
    await two.change('Buy milk', { priority: 'normal' })

    await one.sync()
    await two.sync()
    await one.sync()

    const task = {
      priority: 'urgent',
      description: 'oat',
      due_at: '2026-12-24T18:00:00.000Z',
      tags: ['shop'],
    }
    expect(await everything(ada)).toMatchObject([task])
    expect(await two.notices()).toEqual([
      { task: 'Buy milk', why: 'it was changed elsewhere', lost: { priority: 'low' } },
      { task: 'Buy milk', why: 'it was changed elsewhere', lost: { description: 'soy' } },
      { task: 'Buy milk', why: 'it was changed elsewhere', lost: { priority: 'normal' } },
    ])
    expect(await one.list()).toEqual(await two.list())
  })

  test('stays if it was deleted here, and is removed if it was deleted elsewhere', async () => {
    const { ada, one, two } = await shared()
    await one.add('Pay the rent')
    await one.sync()
    await two.sync()
    await one.change('Buy milk', { priority: 'urgent' })
    await one.remove('Pay the rent')
    await two.remove('Buy milk')
    await two.change('Pay the rent', { priority: 'high' })
    await two.change('Pay the rent', { title: 'Pay it now' })

    await one.sync()
    await two.sync()

    expect(await everything(ada)).toMatchObject([{ title: 'Buy milk', priority: 'urgent' }])
    expect(await two.list()).toEqual(await everything(ada))
    expect(await two.notices()).toEqual([
      { task: 'Buy milk', why: 'it was changed elsewhere', lost: 'the deletion' },
      { task: 'Pay the rent', why: 'there is no such task', lost: { priority: 'high' } },
      { task: 'Pay the rent', why: 'there is no such task', lost: { title: 'Pay it now' } },
    ])
  })
})

test('a refused edit is reported with its reason, and delays no other', async () => {
  const ada = await here.someone()
  const device = await deviceOf(ada)
  await device.add(' ')
  await device.add('Buy milk')
  await device.change('Buy milk', { title: 'x'.repeat(501) })

  const { state } = await device.sync()

  expect(titles(await everything(ada))).toEqual(['Buy milk'])
  expect(state.notices.map(({ why }) => why)).toEqual([
    expect.stringMatching(/\(invalid-request\); \/title must/),
    expect.stringMatching(/\(invalid-request\); \/title must/),
  ])
})

test('tasks that were deleted and erased elsewhere are removed, and a copy of many pages is complete', async () => {
  const ada = await here.someone()
  const device = await deviceOf(ada)
  const create = Array.from({ length: 100 }, (_, at) => ({ title: `${at}` }))
  for (let time = 0; time < 5; time++) await ada.call('POST', '/api/tasks/batch', { create })
  await device.sync()
  const all = await device.list()
  const { since } = (await device.opened()).state
  const [first, second] = all.map(({ id }) => id)

  await ada.call('DELETE', `/api/tasks/${first}`)
  await ada.call('DELETE', `/api/tasks/${second}`)
  await ada.call('DELETE', '/api/tasks/trash')
  const { state } = await device.sync()

  const ids = (await device.list()).map(({ id }) => id)
  expect(all).toHaveLength(500)
  // The next sync requests only the changes.
  expect([typeof since, typeof state.since, since === state.since]).toEqual([
    'string',
    'string',
    false,
  ])
  expect(new Set(ids)).toEqual(new Set(all.map(({ id }) => id).slice(2)))
})

test('a copy with an expired token starts again and keeps its edits', async () => {
  const ada = await here.someone()
  const device = await deviceOf(ada)
  await device.add('Buy milk')
  await device.add('Pay the rent')
  await device.sync()
  await ada.call('DELETE', `/api/tasks/${named(await everything(ada), 'Pay the rent').id}`)
  await ada.call('DELETE', '/api/tasks/trash')
  await device.change('Buy milk', { priority: 'high' })
  const { state: old } = await device.opened()

  // The access token has expired, the tombstone is deleted, and the changes token is too old.
  pass(32 * 86_400_000)
  await here.purge(30)
  const { state } = await device.sync()

  expect(titles(await device.list())).toEqual(['Buy milk'])
  expect(named(await device.list(), 'Buy milk').priority).toBe('high')
  expect(state.session.token).not.toBe(old.session.token)
  expect([state.outbox, state.notices]).toEqual([[], []])
})

test('an invalid changes token is discarded', async () => {
  const ada = await here.someone()
  const device = await deviceOf(ada)
  await ada.call('POST', '/api/tasks', { title: 'Buy milk' })
  const copy = await device.opened()
  Object.assign(copy.state, { since: 'of-another-secret', tasks: { gone: { id: 'gone' } } })
  await copy.save()

  await device.sync()

  expect(titles(await device.list())).toEqual(['Buy milk'])
})

test('a short Retry-After is waited for, a long one is reported, and no edit is lost', async () => {
  const ada = await here.someone()
  const device = await deviceOf(ada)
  await device.add('Buy milk')
  let busy = 2
  using weather = between(async (forward) =>
    busy-- > 0 ? new Response(null, { status: 503, headers: { 'retry-after': '3' } }) : forward(),
  )
  const poor = await listening({ RATE_LIMIT: '3' })
  const other = await deviceOf(ada, poor.origin)
  for (let at = 0; at < 5; at++) await other.add(`${at}`)

  await device.sync(weather.url)
  const limited = await other.sync().catch((error: unknown) => error)
  await poor.stop()
  const { outbox } = (await other.opened()).state
  await other.sync(here.origin)

  expect([device.waited, other.waited]).toEqual([[3, 3], []])
  expect(limited).toBeInstanceOf(RetryLater)
  expect((limited as RetryLater).seconds).toBeGreaterThan(3000)
  expect(outbox.map(({ title }) => title)).toEqual(['3', '4'])
  expect(titles(await everything(ada))).toEqual(['0', '1', '2', '3', '4', 'Buy milk'])
})

test('an ended session signs in again, unless the password has changed', async () => {
  const ada = await here.someone()
  const device = await deviceOf(ada)
  const thief = await deviceOf({ ...ada, password: 'guessed' })
  await device.sync()
  await ada.call('DELETE', '/api/auth/sessions')
  await device.add('Buy milk')

  const { state } = await device.sync()
  await thief.add('Pay the rent')
  const refused = await thief.sync().catch((error: unknown) => error)

  expect(state.outbox).toEqual([])
  expect(refused).toBeInstanceOf(SignedOut)
  expect(titles(await thief.list())).toEqual(['Pay the rent'])
})

test('devices that edit offline on a bad network converge and lose no task', async () => {
  const ada = await here.someone()
  let at = 0
  // In turn: success, not sent, applied without a response.
  using bad = between(async (forward) => {
    at += 1
    if (at % 5 === 0) return new Response(null, { status: 503 })
    const answer = await forward()
    return at % 7 === 0 ? new Response('no answer', { status: 502 }) : answer
  })
  const devices = await Promise.all([1, 2, 3].map(() => deviceOf(ada, bad.url)))
  const added: string[] = []

  for (let round = 0; round < 12; round++)
    for (const [which, device] of devices.entries()) {
      const title = `${round} of ${which}`
      added.push(title)
      await device.add(title)
      const others = await device.list()
      const some = others[(round * 7 + which * 3) % others.length]
      if (some) await device.change(some.title, { priority: which === 0 ? 'high' : 'low' })
      await device.change(title, { description: `from ${which}` })
      if (round % 3 === which) await device.sync()
    }
  for (const device of [...devices, ...devices]) await device.sync()

  const served = (await everything(ada)).sort((a, b) => (a.id < b.id ? -1 : 1))
  expect(titles(served)).toEqual(added.sort())
  for (const device of devices)
    expect((await device.list()).sort((a, b) => (a.id < b.id ? -1 : 1))).toEqual(served)
  expect(served.filter(({ description }) => description === null)).toEqual([])
})

test('from the command line: offline, then in sync, in separate processes', async () => {
  const { email, password } = await here.someone()
  const FILE = join(folder, `${email}.json`)
  const run = (line: string[], API = here.origin) =>
    running([process.execPath, 'examples/offline/main.ts', ...line], {
      API,
      FILE,
      EMAIL: email,
      PASSWORD: password,
    })

  await run(['add', 'Buy', 'milk'])
  const offline = await run(['sync'], nowhere)
  await run(['done', '1'])
  const online = await run(['sync'])
  const listed = await run(['list'])
  const wrong = await run(['done', '7'])

  expect(offline).toEqual({
    code: 75,
    out: '',
    err: `${nowhere} does not answer\n1 edit waits for a sync\n`,
  })
  expect([online.code, online.err]).toEqual([0, ''])
  expect(listed.out).toBe('1. [x] Buy milk\n')
  expect([wrong.code, wrong.err]).toEqual([1, 'the list has no number 7\n'])
})

test('its types are those of the service', () => {
  expectTypeOf<Served>().toExtend<Task>()
  expectTypeOf<keyof Served>().toEqualTypeOf<
    keyof Task | 'user_id' | 'completed_at' | 'created_at' | 'updated_at' | 'position' | 'series_id'
  >()
})

test('a copy that watches has each change of another device as it happens, until the session ends', async () => {
  const ada = await here.someone()
  const copy = await openCopy(join(folder, `${Bun.randomUUIDv7()}.json`))
  const session = { token: ada.token }
  Object.assign(copy.state.session, session)
  const api = createApi({ url: here.origin, ...ada, session: copy.state.session })
  let synced = Promise.withResolvers<void>()
  const failed = watch(copy, api, here.origin, () => {
    synced.resolve()
    synced = Promise.withResolvers()
  }).catch((error: unknown) => error)
  await synced.promise

  for (const title of ['a', 'b', 'c']) {
    const next = synced.promise
    await ada.call('POST', '/api/tasks', { title })
    await next
    while (copy.list().at(-1)?.title !== title) await synced.promise
  }
  expect(copy.list().map(({ title }) => title)).toEqual(['a', 'b', 'c'])
  await ada.call('DELETE', '/api/auth/me', { current_password: ada.password })
  expect(await failed).toBeInstanceOf(SignedOut)
})
