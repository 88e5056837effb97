import { afterAll, beforeAll, describe, expect, test } from 'bun:test'
import { createClient } from '../../client/src/client.ts'
import { isProblem } from '../../client/src/problem.ts'
import type { Fetch } from '../../client/src/retry.ts'
import { listening } from '../support/listening.ts'

let here: Awaited<ReturnType<typeof listening>>
beforeAll(async () => {
  here = await listening()
})
afterAll(() => here.stop())

/** A client that watches, and the titles that it has seen. `fetch` may break connections. */
const watcher = async (fetch: Fetch = (request, init) => globalThis.fetch(request, init)) => {
  const user = await here.someone()
  const client = createClient({ baseUrl: here.origin, accessToken: user.token, fetch })
  const ending = new AbortController()
  const titles: string[] = []
  let changed = Promise.withResolvers<void>()
  const watching = (async () => {
    for await (const { changes } of client.tasks.watch({}, { signal: ending.signal })) {
      for (const change of changes)
        titles.push(change.op === 'upsert' ? change.task.title : 'deleted')
      changed.resolve()
      changed = Promise.withResolvers()
    }
  })()
  return {
    client,
    user,
    titles,
    watching,
    until: async (count: number) => {
      while (titles.length < count) await changed.promise
    },
    stop: async () => {
      ending.abort()
      await watching
    },
  }
}

describe('watch', () => {
  test('has all tasks first, and then each change as it happens', async () => {
    const { client, titles, until, stop } = await watcher()
    const task = await client.tasks.create({ title: 'a' })
    await until(1)
    await client.tasks.update(task, { title: 'b' })
    await until(2)
    await client.tasks.delete(task.id)
    await until(3)
    expect(titles).toEqual(['a', 'b', 'deleted'])
    await stop()
  })

  test('goes on after its connection broke, and misses nothing', async () => {
    let connection: AbortController | undefined
    const { client, titles, until, stop } = await watcher((request, init) => {
      if (!request.url.includes('/events')) return globalThis.fetch(request, init)
      connection = new AbortController()
      const signal = AbortSignal.any([connection.signal, init?.signal].filter((one) => one != null))
      return globalThis.fetch(request, { ...init, signal })
    })
    await client.tasks.create({ title: 'a' })
    await until(1)
    while (connection === undefined) await Bun.sleep(5)
    connection.abort()
    await client.tasks.create({ title: 'b' })
    await client.tasks.create({ title: 'c' })
    await until(3)
    expect(titles).toEqual(['a', 'b', 'c'])
    await stop()
  })

  test('survives responses that say later', async () => {
    let refused = 0
    const { client, titles, until, stop } = await watcher((request, init) => {
      if (!request.url.includes('/events') || refused >= 2) return globalThis.fetch(request, init)
      refused++
      return Promise.resolve(new Response('busy', { status: 429 }))
    })
    await client.tasks.create({ title: 'a' })
    await until(1)
    while (refused < 2) await Bun.sleep(20)
    await client.tasks.create({ title: 'b' })
    await until(2)
    expect(titles).toEqual(['a', 'b'])
    await stop()
  })

  test('polls where a stream is held back', async () => {
    const polls: string[] = []
    const { client, titles, until, stop } = await watcher(async (request, init) => {
      if (request.url.includes('wait=')) polls.push(request.url)
      if (!request.url.includes('/events')) return globalThis.fetch(request, init)
      const { signal } = init ?? {}
      await new Promise((_, reject) =>
        signal?.addEventListener('abort', () => reject(signal.reason), { once: true }),
      )
      throw new Error('never')
    })
    await client.tasks.create({ title: 'a' })
    await until(1)
    while (polls.length === 0) await Bun.sleep(50)
    await client.tasks.create({ title: 'b' })
    await until(2)
    expect(titles).toEqual(['a', 'b'])
    await stop()
  }, 60_000)

  test('ends with an error when the session ends', async () => {
    const { user, watching, client, until } = await watcher()
    await client.tasks.create({ title: 'a' })
    await until(1)
    await user.call('POST', '/api/auth/logout')
    const reason = await watching.catch((error: unknown) => error)
    expect(isProblem(reason, 'unauthenticated')).toBe(true)
  })
})
