import { afterAll, beforeAll, describe, expect, test } from 'bun:test'
import { createClient } from '../../client/src/client.ts'
import { isProblem, ProblemError, ResponseError } from '../../client/src/problem.ts'
import type { Fetch } from '../../client/src/retry.ts'
import { listening } from '../support/listening.ts'

let here: Awaited<ReturnType<typeof listening>>
beforeAll(async () => {
  here = await listening()
})
afterAll(() => here.stop())

/** A client of a new user, and the requests that it sends. `between` may replace a response. */
const newClient = async (
  between: (forward: () => Promise<Response>) => Promise<Response> = (forward) => forward(),
) => {
  const sent: Request[] = []
  const fetch: Fetch = (request, init) => {
    sent.push(request.clone() as Request)
    return between(() => globalThis.fetch(request, init))
  }
  const user = await here.someone()
  const client = createClient({ baseUrl: `${here.origin}/`, accessToken: user.token, fetch })
  return { ...client, sent, user }
}

const reasonOf = (promise: Promise<unknown>) => promise.catch((reason: unknown) => reason)
const titlesOf = async (items: AsyncIterable<{ title: string }>) => {
  const titles: string[] = []
  for await (const { title } of items) titles.push(title)
  return titles
}
const numbers = (count: number) =>
  Array.from({ length: count }, (_, at) => ({ title: `${at}`.padStart(2, '0') }))

describe('a list', () => {
  test('has every task once, over pages that are read as they are needed', async () => {
    const { tasks, sent } = await newClient()
    await tasks.batch({ create: numbers(7) })
    sent.length = 0

    const list = tasks.list({ sort: 'title', limit: 3, tag: [] })
    const first = await list.next()
    expect([first.value?.title, sent.length]).toEqual(['00', 1])
    const rest = await titlesOf(list)

    expect(rest).toEqual(['01', '02', '03', '04', '05', '06'])
    expect(sent).toHaveLength(3)
  })

  test('that is left early asks for no further page', async () => {
    const { tasks, sent } = await newClient()
    await tasks.batch({ create: numbers(5) })
    sent.length = 0

    for await (const { title } of tasks.list({ sort: 'title', limit: 2 })) if (title === '01') break

    expect(sent).toHaveLength(1)
  })

  test('ends with the signal, and throws the problem of a page', async () => {
    const { tasks } = await newClient()
    await tasks.batch({ create: numbers(4) })
    const control = new AbortController()

    const list = tasks.list({ limit: 2 }, { signal: control.signal })
    await list.next()
    await list.next()
    control.abort(new Error('enough'))
    const aborted = await reasonOf(list.next())
    const refused = await reasonOf(titlesOf(tasks.list({ limit: 0 })))

    expect((aborted as Error).message).toBe('enough')
    expect(isProblem(refused, 'invalid-request') && refused.errors[0]?.pointer).toBe('/limit')
  })

  test('of the trash is one as well', async () => {
    const { tasks } = await newClient()
    const { created } = await tasks.batch({ create: numbers(3) })
    for (const task of created) await tasks.delete(task)

    expect(await titlesOf(tasks.trash({ limit: 1 }))).toEqual(['02', '01', '00'])
    await tasks.restore(created[0]?.id ?? '')
    await tasks.erase(created[1]?.id ?? '')
    expect(await titlesOf(tasks.trash())).toEqual(['02'])
    await tasks.emptyTrash()
    expect(await titlesOf(tasks.trash())).toEqual([])
  })
})

test('changes are pages with a token each, from which the next call goes on', async () => {
  const { tasks } = await newClient()
  const { created } = await tasks.batch({ create: numbers(5) })
  const copy = new Map<string, string>()
  let since: string | undefined
  const sync = async () => {
    let pages = 0
    for await (const page of tasks.changes({ limit: 2, ...(since !== undefined && { since }) })) {
      for (const change of page.changes)
        if (change.op === 'upsert') copy.set(change.task.id, change.task.title)
        else copy.delete(change.id)
      since = page.next
      pages += 1
    }
    return pages
  }

  const first = await sync()
  const [one, two] = created
  await tasks.delete(one ?? '')
  await tasks.update(two ?? '', { title: 'changed' })
  const second = await sync()

  expect([first, second]).toEqual([3, 1])
  expect([...copy.values()].sort()).toEqual(['02', '03', '04', 'changed'])
})

describe('a write to a task that was read', () => {
  test('is refused with the current version if the task has changed since', async () => {
    const { tasks } = await newClient()
    const read = await tasks.create({ title: 'Buy milk' })
    await tasks.update(read, { priority: 'high' })

    const errors = await Promise.all([
      reasonOf(tasks.update(read, { title: 'x' })),
      reasonOf(tasks.replace(read, { title: 'x', completed: true })),
      reasonOf(tasks.complete(read)),
      reasonOf(tasks.delete(read)),
    ])

    for (const error of errors) {
      expect(isProblem(error, 'version-mismatch')).toBe(true)
      const { etag, currentVersion, status } = error as ProblemError
      expect([status, etag, currentVersion]).toEqual([412, '"2"', 2])
    }
    expect(await tasks.get(read.id)).toMatchObject({ title: 'Buy milk', priority: 'high' })
  })

  test('by its id alone is unconditional', async () => {
    const { tasks, sent } = await newClient()
    const { id } = await tasks.create({ title: 'Buy milk' })
    await tasks.update(id, { priority: 'high' })
    await tasks.complete(id)
    await tasks.delete(id)

    expect(sent.map(({ headers }) => headers.get('if-match'))).toEqual(Array(4).fill(null))
  })

  test('as a function is made anew until it fits, so that no change is lost', async () => {
    const { tasks } = await newClient()
    const { id } = await tasks.create({ title: 'Buy milk' })

    await Promise.all(
      ['a', 'b', 'c'].map((tag) => tasks.update(id, (task) => ({ tags: [...task.tags, tag] }))),
    )

    expect((await tasks.get(id)).tags.sort()).toEqual(['a', 'b', 'c'])
  })

  test('as a function is given up after five conflicts', async () => {
    const mismatch = { status: 412, code: 'version-mismatch', title: 'x', request_id: 'r' }
    let calls = 0
    const { tasks, sent } = await newClient(async (forward) =>
      sent.at(-1)?.method === 'PATCH' ? Response.json(mismatch, { status: 412 }) : forward(),
    )
    const { id } = await tasks.create({ title: 'Buy milk' })

    const error = await reasonOf(
      tasks.update(id, () => {
        calls += 1
        return { title: 'Buy oat milk' }
      }),
    )

    expect([isProblem(error, 'version-mismatch'), calls]).toEqual([true, 5])
  })

  test('returns the version that the next one needs', async () => {
    const { tasks } = await newClient()
    const task = await tasks.create({ title: 'Buy milk' })

    const { version = 0, completed } = await tasks.complete(task, true)
    const renamed = await tasks.update({ id: task.id, version }, { title: 'Buy oat milk' })

    expect([version, completed, renamed.version]).toEqual([2, true, 3])
  })
})

describe('an Idempotency-Key', () => {
  test('is made for each call that takes one, and differs each time', async () => {
    const { tasks, sent } = await newClient()
    const task = await tasks.create({ title: 'Buy milk' })
    await tasks.complete(task)
    await tasks.batch({ create: [{ title: 'x' }] })
    await tasks.import([{ title: 'y' }])

    const keys = sent.map(({ headers }) => headers.get('idempotency-key'))
    for (const key of keys) expect(key).toMatch(/^[0-9a-f]{32}$/)
    expect(new Set(keys).size).toBe(4)
  })

  test('lets a write whose response was lost take effect once', async () => {
    let lost = 0
    const { tasks, sent } = await newClient(async (forward) => {
      const response = await forward()
      // Every second response of a write is lost, after the service has done what was asked.
      if (response.headers.has('idempotency-replayed') || lost++ % 2 === 1) return response
      throw new TypeError('fetch failed')
    })

    const task = await tasks.create({ title: 'Buy milk' })
    const toggled = await tasks.complete(task.id)
    await tasks.import([{ title: 'x' }, { title: 'y' }])

    expect(sent.length).toBeGreaterThan(3)
    expect(toggled.completed).toBe(true)
    expect(await titlesOf(tasks.list({ sort: 'title' }))).toEqual(['Buy milk', 'x', 'y'])
  })

  test('of the caller is sent as it is', async () => {
    const { tasks } = await newClient()
    const options = { idempotencyKey: 'shopping' }

    const first = await tasks.create({ title: 'Buy milk' }, options)
    const again = await tasks.create({ title: 'Buy milk' }, options)
    const other = await reasonOf(tasks.create({ title: 'Buy oat milk' }, options))

    expect(again).toEqual(first)
    expect(isProblem(other, 'idempotency-mismatch')).toBe(true)
  })
})

describe('an export', () => {
  test('can be read as text, JSON or a stream, and imported again', async () => {
    const { tasks } = await newClient()
    await tasks.create({ title: 'Café', tags: ['a', 'b'] })

    const csv = await (await tasks.export('csv')).text()
    const ndjson = await (await tasks.export('ndjson')).text()
    const json = await (await tasks.export('json')).json()
    const stream = (await tasks.export('ics')).body

    expect(csv).toContain('Café')
    expect(json).toMatchObject({ tasks: [{ title: 'Café' }] })
    expect(stream).toBeInstanceOf(ReadableStream)
    await stream?.cancel()
    expect(await tasks.import({ csv }, { dryRun: true })).toEqual({ valid: 1, dropped: [] })
    expect(await tasks.import({ ndjson })).toEqual({
      imported: 1,
      updated: 0,
      ids: [expect.any(String)],
      dropped: [],
    })
    const warrior = JSON.stringify([{ description: 'From Taskwarrior', wait: '20270101T000000Z' }])
    expect(await tasks.import({ json: warrior }, { from: 'taskwarrior', dryRun: true })).toEqual({
      valid: 1,
      dropped: [{ member: 'wait', count: 1 }],
    })
    const ics = await (await tasks.export('ics')).text()
    expect(await tasks.import({ ics }, { dryRun: true })).toMatchObject({ valid: 2 })
    const wrong = await reasonOf(tasks.import({ csv: 'title\n\n"  "\n' }))
    expect(isProblem(wrong, 'invalid-request') && wrong.errors[0]?.pointer).toBe('/line/3')
  })
})

test('what is no problem of the service is a ResponseError with its status', async () => {
  const { tasks } = await newClient(async () => new Response('<html>', { status: 404 }))

  const error = await reasonOf(tasks.get('1'))
  const exported = await reasonOf(tasks.export('csv'))

  for (const one of [error, exported]) {
    expect(one).toBeInstanceOf(ResponseError)
    expect(one).not.toBeInstanceOf(ProblemError)
    expect((one as ResponseError).status).toBe(404)
  }
})

test('a problem prints as one line with its code and request, and its places below', async () => {
  const { tasks } = await newClient()

  const error = (await reasonOf(tasks.create({ title: '', tags: ['x', 'x'] }))) as ProblemError

  expect(error.message).toMatch(
    /^422 .+ \(invalid-request, request [\w-]+\)\n {2}\/\w+ must .+\n {2}\/\w+ must .+$/,
  )
  expect(Object.keys(error).sort()).toEqual(['code', 'errors', 'name', 'requestId', 'status'])
})

test('`http` has the routes that have no helper, with the same token', async () => {
  const { http, currentUser, user } = await newClient()

  const { data } = await http.GET('/api/auth/sessions')
  const missing = await http.GET('/api/tasks/{id}', { params: { path: { id: 'x' } } })

  expect(data?.sessions).toHaveLength(1)
  expect([missing.error?.code, missing.response.status]).toEqual(['task-not-found', 404])
  expect((await currentUser()).email).toBe(user.email)
})
