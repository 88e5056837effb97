import { afterEach, describe, expect, test } from 'bun:test'
import { createClient } from '../../client/src/client.ts'
import { isProblem, type ProblemError } from '../../client/src/problem.ts'
import type { Fetch } from '../../client/src/retry.ts'
import { createMemoryTokenStore, type TokenStore, type Tokens } from '../../client/src/tokens.ts'
import { pass, realTime } from '../support/service.ts'

afterEach(realTime)

const hour = 3_600_000
const retry = { attemptsMax: 1 }
const baseUrl = 'http://service.test'

type Received = { path: string; authorization: string | null; body: string }
type Refresh = (request: Received) => Response | Promise<Response>

const problem = (status: number, code: string, headers: Record<string, string> = {}) =>
  Response.json({ status, code, title: code, request_id: 'r' }, { status, headers })
const refused = () =>
  problem(401, 'unauthenticated', { 'www-authenticate': 'Bearer error="invalid_token"' })

/** A service that accepts one token at a time; the refresh is decided by the test. */
const fakeService = (refresh?: Refresh) => {
  const received: Received[] = []
  const valid = { token: 'token-1' }
  const fetch: Fetch = async (request) => {
    const { pathname } = new URL(request.url)
    const body = await request.text()
    const one = { path: pathname, authorization: request.headers.get('authorization'), body }
    received.push(one)
    if (pathname === '/api/auth/login')
      return Response.json({ access_token: valid.token, expires_in: 86_400, user: {} })
    if (pathname === '/api/auth/refresh') {
      if (refresh) return refresh(one)
      valid.token = `token-${Number(valid.token.slice(6)) + 1}`
      return Response.json({ access_token: valid.token, expires_in: 86_400 })
    }
    return one.authorization === `Bearer ${valid.token}` ? Response.json({ id: '1' }) : refused()
  }
  const refreshes = () => received.filter(({ path }) => path === '/api/auth/refresh')
  return { fetch, received, refreshes, valid }
}

const signedIn = async (refresh?: Refresh, tokens: TokenStore = createMemoryTokenStore()) => {
  const service = fakeService(refresh)
  const client = createClient({ baseUrl, fetch: service.fetch, tokens, retry })
  await client.signIn({ email: 'ada@example.test', password: 'correct horse battery' })
  return { ...service, client, tokens }
}

const reasonOf = (promise: Promise<unknown>) => promise.catch((reason: unknown) => reason)

describe('a refused access token', () => {
  test('is refreshed once for all requests that meet the refusal', async () => {
    const { client, valid, refreshes, received } = await signedIn()
    valid.token = 'token-7'

    const tasks = await Promise.all(Array.from({ length: 20 }, () => client.tasks.get('1')))

    expect(tasks).toHaveLength(20)
    expect(refreshes()).toHaveLength(1)
    // The sign-in, each request twice, and the refresh.
    expect(received).toHaveLength(1 + 40 + 1)
  })

  test('is not refreshed again by a request that was on its way meanwhile', async () => {
    const { client, valid, refreshes } = await signedIn()
    valid.token = 'token-7'

    await client.tasks.get('1')
    await Promise.all([client.tasks.get('1'), client.tasks.get('1')])

    expect(refreshes()).toHaveLength(1)
  })

  test('is retried once only, with the new token and the same request', async () => {
    const { client, refreshes, received, valid } = await signedIn(() =>
      Response.json({ access_token: 'useless', expires_in: 86_400 }),
    )
    valid.token = 'invalid'

    const error = await reasonOf(client.tasks.create({ title: 'Buy milk' }))

    expect(isProblem(error, 'unauthenticated')).toBe(true)
    expect(refreshes()).toHaveLength(1)
    expect(received.filter(({ path }) => path === '/api/tasks')).toEqual([
      { path: '/api/tasks', authorization: 'Bearer token-1', body: '{"title":"Buy milk"}' },
      { path: '/api/tasks', authorization: 'Bearer useless', body: '{"title":"Buy milk"}' },
    ])
  })

  test('of a session that has ended is forgotten, and the requests fail as unauthenticated', async () => {
    const { client, tokens, valid, refreshes } = await signedIn(refused)
    valid.token = 'token-7'

    const errors = await Promise.all([1, 2, 3].map(() => reasonOf(client.tasks.get('1'))))
    const later = await reasonOf(client.tasks.get('1'))

    expect([...errors, later].map((error) => (error as ProblemError).code)).toEqual(
      Array(4).fill('unauthenticated'),
    )
    expect(await tokens.get()).toBeUndefined()
    expect(refreshes()).toHaveLength(1)
  })

  test('is kept while the refresh cannot be answered, and the requests fail for this reason', async () => {
    const { client, tokens, valid } = await signedIn(() => problem(503, 'unavailable'))
    valid.token = 'token-7'

    const errors = await Promise.all([1, 2].map(() => reasonOf(client.tasks.get('1'))))

    expect(errors.map((error) => isProblem(error, 'unavailable'))).toEqual([true, true])
    expect((await tokens.get())?.accessToken).toBe('token-1')
  })

  test('is not refreshed for a 401 that is about something else', async () => {
    const { refreshes, fetch } = fakeService()
    const tokens = createMemoryTokenStore()
    const wrong: Fetch = async (request) =>
      request.url.endsWith('/refresh') ? fetch(request) : problem(401, 'invalid-credentials')
    const client = createClient({ baseUrl, fetch: wrong, tokens, retry })

    const error = await reasonOf(client.signIn({ email: 'a@b', password: 'wrong' }))

    expect(isProblem(error, 'invalid-credentials')).toBe(true)
    expect(refreshes()).toHaveLength(0)
  })

  test('that was given as a personal token is never refreshed', async () => {
    const { fetch, refreshes, received } = fakeService()
    const client = createClient({ baseUrl, fetch, accessToken: 'ended', retry })

    const error = await reasonOf(client.tasks.get('1'))

    expect(isProblem(error, 'unauthenticated')).toBe(true)
    expect([refreshes().length, received.length]).toEqual([0, 1])
  })
})

describe('a token at half of its lifetime', () => {
  test('is refreshed before the next request, once for all', async () => {
    const { client, received, refreshes, tokens } = await signedIn()

    pass(11 * hour)
    await client.tasks.get('1')
    expect(refreshes()).toHaveLength(0)
    pass(2 * hour)
    await Promise.all([1, 2, 3].map(() => client.tasks.get('1')))

    expect(refreshes().map(({ authorization }) => authorization)).toEqual(['Bearer token-1'])
    expect(received.slice(-3).map(({ authorization }) => authorization)).toEqual(
      Array(3).fill('Bearer token-2'),
    )
    expect((await tokens.get())?.expiresAt).toBe(Date.now() + 24 * hour)
  })

  test('stays in use while it cannot be refreshed; the next try is a minute later', async () => {
    const { client, refreshes } = await signedIn(() => problem(503, 'unavailable'))

    pass(13 * hour)
    for (let time = 0; time < 3; time++) await client.tasks.get('1')
    expect(refreshes()).toHaveLength(1)
    pass(61_000)
    await client.tasks.get('1')

    expect(refreshes()).toHaveLength(2)
  })
})

describe('a refresh token', () => {
  const rotate = (): Refresh => {
    let generation = 1
    return ({ body }) => {
      const { refresh_token } = JSON.parse(body)
      if (refresh_token !== `refresh-${generation}`) return refused()
      generation += 1
      const next = { access_token: `access-${generation}`, refresh_token: `refresh-${generation}` }
      return Response.json({ ...next, expires_in: 86_400 })
    }
  }
  const withRefreshToken = (): Tokens => ({
    accessToken: 'token-1',
    issuedAt: Date.now(),
    expiresAt: Date.now() + 24 * hour,
    refreshToken: 'refresh-1',
  })

  test('is sent in the body without Authorization, and its successor is kept', async () => {
    const { client, refreshes, tokens } = await signedIn(rotate())
    await tokens.set(withRefreshToken())

    await client.refresh()
    await client.refresh()

    expect(refreshes()).toEqual([
      { path: '/api/auth/refresh', authorization: null, body: '{"refresh_token":"refresh-1"}' },
      { path: '/api/auth/refresh', authorization: null, body: '{"refresh_token":"refresh-2"}' },
    ])
    expect(await tokens.get()).toMatchObject({
      accessToken: 'access-3',
      refreshToken: 'refresh-3',
    })
  })
})

describe('a store that is shared', () => {
  test('lets one client take over what another has refreshed', async () => {
    const { client, fetch, tokens, valid, refreshes } = await signedIn()
    valid.token = 'token-7'
    // Two tabs: while the request of one is on its way, the other refreshes.
    const slow: Fetch = async (request) => {
      const response = await fetch(request)
      if (refreshes().length === 0) await client.tasks.get('1')
      return response
    }

    const task = await createClient({ baseUrl, fetch: slow, tokens, retry }).tasks.get('1')

    expect(task).toMatchObject({ id: '1' })
    expect(refreshes()).toHaveLength(1)
  })

  test('may be asynchronous and hold JSON', async () => {
    let text: string | undefined
    const tokens: TokenStore = {
      get: async () => (text === undefined ? undefined : JSON.parse(text)),
      set: async (kept) => {
        text = kept && JSON.stringify(kept)
      },
    }
    const { client, fetch, valid } = await signedIn(undefined, tokens)
    valid.token = 'token-7'
    await client.tasks.get('1')

    const restarted = createClient({ baseUrl, fetch, tokens, retry })

    expect(await restarted.tasks.get('1')).toMatchObject({ id: '1' })
  })
})

describe('a sign-in or a sign-out during a refresh', () => {
  test('has precedence over its result', async () => {
    const late = Promise.withResolvers<Response>()
    const { client, tokens } = await signedIn(() => late.promise)

    const refreshing = client.refresh()
    await reasonOf(client.signOut())
    late.resolve(Response.json({ access_token: 'late', expires_in: 86_400 }))
    await refreshing

    expect(await tokens.get()).toBeUndefined()
  })

  test('forgets the tokens also if the service cannot be reached', async () => {
    const { tokens } = await signedIn()
    const unreachable: Fetch = async () => {
      throw new TypeError('fetch failed')
    }
    const offline = createClient({ baseUrl, fetch: unreachable, tokens, retry })

    await expect(offline.signOut()).rejects.toThrow('fetch failed')

    expect(await tokens.get()).toBeUndefined()
  })
})

describe('a signal', () => {
  test('ends the wait of one request for a refresh; the others get theirs', async () => {
    const late = Promise.withResolvers<Response>()
    const { client, valid } = await signedIn(() => late.promise)
    valid.token = 'token-2'
    const impatient = new AbortController()

    const one = reasonOf(client.tasks.get('1', { signal: impatient.signal }))
    const two = client.tasks.get('1')
    await Bun.sleep(5)
    impatient.abort(new Error('enough'))
    const reason = await one
    late.resolve(Response.json({ access_token: 'token-2', expires_in: 86_400 }))

    expect((reason as Error).message).toBe('enough')
    expect(await two).toMatchObject({ id: '1' })
  })
})
