import { afterEach, describe, expect, test } from 'bun:test'
import { createRefreshCookie } from '../../src/auth/refresh-tokens/cookie.ts'
import { pass, realTime, type Service, service } from '../support/service.ts'

afterEach(realTime)

const password = 'correct horse battery'
const credentials = () => ({ email: `${Bun.randomUUIDv7()}@example.test`, password })
const own = { origin: 'http://localhost' }

/** A `Set-Cookie` header by parts. */
const cookieIn = ({ headers }: { headers: Headers }) => {
  const text = headers.get('set-cookie')
  return text === null ? undefined : Bun.Cookie.parse(text)
}

/** A user who signed in as a browser app does. */
const inBrowser = async (here: Service) => {
  const body = credentials()
  const answer = await here.call('POST', '/api/auth/register?session=cookie', { body })
  const sent = cookieIn(answer)
  const cookie = `${sent?.name}=${sent?.value}`
  const refresh = (headers: Record<string, string> = own, path = '/api/auth/refresh') =>
    here.call('POST', path, { headers: { cookie, ...headers } })
  return { ...body, answer, sent, cookie, refresh, token: answer.body.access_token as string }
}

describe('with ?session=cookie, the refresh token', () => {
  test('is in a cookie that scripts cannot read, and not in the body', async () => {
    const { call } = await service()
    const body = credentials()

    for (const path of ['/api/auth/register', '/api/auth/login']) {
      const answer = await call('POST', `${path}?session=cookie`, { body })
      expect(Object.keys(answer.body)).toEqual([
        'access_token',
        'token_type',
        'expires_in',
        'refresh_expires_in',
        'user',
      ])
      expect(answer.text).not.toContain('twr_')
      expect(cookieIn(answer)?.toJSON()).toMatchObject({
        name: 'taskwarden-refresh',
        value: expect.stringMatching(/^twr_[\w-]{92}$/),
        path: '/',
        httpOnly: true,
        secure: false,
        sameSite: 'strict',
        maxAge: answer.body.refresh_expires_in,
      })
      expect(answer.headers.get('set-cookie')).not.toMatch(/domain/i)
    }
  })

  test('is in a __Host- cookie with Secure, except on http loopback', async () => {
    const { app } = await service({ TRUST_PROXY: '1' })
    const cookieFor = async (url: string, headers: Record<string, string> = {}) => {
      const request = new Request(`${url}/api/auth/register?session=cookie`, {
        method: 'POST',
        headers: { 'content-type': 'application/json', ...headers },
        body: JSON.stringify(credentials()),
      })
      const { name, secure } = cookieIn(await app.fetch(request)) ?? {}
      return [name, secure]
    }
    const tls = { 'x-forwarded-proto': 'https' }

    for (const host of ['localhost', 'app.localhost:3000', '127.0.0.1:8080', '[::1]'])
      expect(await cookieFor(`http://${host}`)).toEqual(['taskwarden-refresh', false])
    for (const [url, headers] of [
      ['http://tasks.example.com', {}],
      ['http://tasks.example.com', tls],
      ['http://localhost', tls],
      ['http://localhost.example.com', {}],
      ['http://notlocalhost', {}],
      ['http://127.0.0.1.example.com', {}],
      ['http://192.168.0.7', {}],
    ] as const)
      expect([url, ...(await cookieFor(url, headers))]).toEqual([
        url,
        '__Host-taskwarden-refresh',
        true,
      ])
  })

  test('ignores the protocol that an untrusted proxy reports', async () => {
    const { call } = await service()

    const answer = await call('POST', '/api/auth/register?session=cookie', {
      body: credentials(),
      headers: { 'x-forwarded-proto': 'https' },
    })

    expect(cookieIn(answer)?.name).toBe('taskwarden-refresh')
  })

  test('refreshes the session, again by the cookie, also without the parameter', async () => {
    const here = await service()
    const ada = await inBrowser(here)

    for (const path of ['/api/auth/refresh?session=cookie', '/api/auth/refresh']) {
      const answer = await ada.refresh(own, path)
      expect(answer.status).toBe(200)
      expect(Object.keys(answer.body)).toEqual([
        'access_token',
        'token_type',
        'expires_in',
        'refresh_expires_in',
      ])
      expect(cookieIn(answer)?.value).toMatch(/^twr_/)
      expect(cookieIn(answer)?.value).not.toBe(ada.sent?.value)
      const { access_token: token } = answer.body
      expect((await here.call('GET', '/api/auth/me', { token })).body.email).toBe(ada.email)
    }
  })

  test('can be moved from a body into the cookie', async () => {
    const here = await service()
    const { body } = await here.call('POST', '/api/auth/register', { body: credentials() })

    const answer = await here.call('POST', '/api/auth/refresh?session=cookie', {
      body: { refresh_token: body.refresh_token },
    })

    expect(answer.body.refresh_token).toBeUndefined()
    expect(cookieIn(answer)?.value).toMatch(/^twr_/)
  })

  test('is not read if the body has one, or if the access token is valid', async () => {
    const here = await service()
    const ada = await inBrowser(here)
    const { body: bob } = await here.call('POST', '/api/auth/register', { body: credentials() })

    const byBody = await here.call('POST', '/api/auth/refresh', {
      body: { refresh_token: bob.refresh_token },
      headers: { cookie: ada.cookie, origin: 'https://evil.example' },
    })
    const byToken = await here.call('POST', '/api/auth/refresh', {
      token: ada.token,
      headers: { cookie: ada.cookie },
    })

    expect(byBody.body.refresh_token).toMatch(/^twr_/)
    expect(Object.keys(byToken.body)).toEqual(['access_token', 'token_type', 'expires_in'])
    expect(byToken.headers.get('set-cookie')).toBeNull()
  })
})

describe('sign-out', () => {
  test('ends the session of the cookie without an access token, and deletes the cookie', async () => {
    const here = await service()
    const ada = await inBrowser(here)

    const answer = await ada.refresh(own, '/api/auth/logout')

    expect(answer.status).toBe(204)
    expect(cookieIn(answer)?.toJSON()).toMatchObject({ value: '', maxAge: 0, path: '/' })
    expect((await ada.refresh()).status).toBe(401)
    expect((await here.call('GET', '/api/tasks', { token: ada.token })).status).toBe(401)
    expect((await ada.refresh(own, '/api/auth/logout')).status).toBe(401)
  })

  test('ends the session of the cookie only', async () => {
    const here = await service()
    const ada = await inBrowser(here)
    const { email } = ada
    const other = await here.call('POST', '/api/auth/login', { body: { email, password } })

    await ada.refresh(own, '/api/auth/logout')

    const { access_token: token } = other.body
    expect((await here.call('GET', '/api/tasks', { token })).status).toBe(200)
  })

  test('is 401 when the session of the cookie is past its end', async () => {
    const here = await service()
    const ada = await inBrowser(here)
    pass(30 * 86_400_000)

    expect((await ada.refresh(own, '/api/auth/logout')).status).toBe(401)
  })

  test('by the access token deletes the cookie too, from any origin', async () => {
    const here = await service()
    const ada = await inBrowser(here)

    const answer = await here.call('POST', '/api/auth/logout', {
      token: ada.token,
      headers: { cookie: ada.cookie },
    })

    expect(answer.status).toBe(204)
    expect(cookieIn(answer)?.maxAge).toBe(0)
  })

  test('by the access token alone sets no cookie', async () => {
    const here = await service()
    const ada = await here.someone()

    expect((await ada.call('POST', '/api/auth/logout')).headers.get('set-cookie')).toBeNull()
  })
})

describe('the cookie', () => {
  const listed = 'https://app.example.com'
  const cases: [what: string, headers: Record<string, string>, isAllowed: boolean][] = [
    ['the same origin', own, true],
    ['the same host with TLS', { origin: 'https://localhost' }, true],
    ['a listed origin', { origin: listed }, true],
    ['a listed origin, cross-site', { origin: listed, 'sec-fetch-site': 'cross-site' }, true],
    ['a browser that says same-origin', { 'sec-fetch-site': 'same-origin' }, true],
    ['neither header', {}, false],
    ['another origin', { origin: 'https://evil.example' }, false],
    ['an opaque origin', { origin: 'null' }, false],
    ['an empty origin', { origin: '' }, false],
    ['another port', { origin: 'http://localhost:3001' }, false],
    ['a longer host', { origin: 'http://localhost.evil.example' }, false],
    ['a listed origin with a suffix', { origin: `${listed}.evil.example` }, false],
    ['a listed host without TLS', { origin: 'http://app.example.com' }, false],
    ['a sibling site', { 'sec-fetch-site': 'same-site' }, false],
    ['another site', { 'sec-fetch-site': 'cross-site' }, false],
    ['a navigation', { 'sec-fetch-site': 'none' }, false],
    ['an Origin list', { origin: `http://localhost, ${listed}` }, false],
  ]

  test.each(cases)('from %s', async (_, headers, isAllowed) => {
    const here = await service({ CORS_ORIGINS: listed })
    const ada = await inBrowser(here)

    const refreshed = await ada.refresh(headers)
    const signedOut = await ada.refresh(headers, '/api/auth/logout')

    if (isAllowed) expect([refreshed.status, signedOut.status]).toEqual([200, 204])
    else
      for (const { status, body, headers } of [refreshed, signedOut]) {
        expect([status, body.code]).toEqual([403, 'origin-not-allowed'])
        expect(headers.get('set-cookie')).toBeNull()
      }
    // A refused request has changed nothing.
    expect((await here.call('GET', '/api/tasks', { token: ada.token })).status).toBe(
      isAllowed ? 401 : 200,
    )
  })

  test('is refused from the http page of a host whose proxy reports TLS', async () => {
    const here = await service({ TRUST_PROXY: '1' })
    const ada = await inBrowser(here)
    const cookie = `__Host-${ada.cookie}`
    const tls = { cookie, 'x-forwarded-proto': 'https' }

    const statuses = []
    for (const origin of ['http://localhost', 'https://localhost'])
      statuses.push((await ada.refresh({ ...tls, origin })).status)

    expect(statuses).toEqual([403, 200])
  })

  test('is secure and from no allowed origin if the Host header is no host', () => {
    const cookie = createRefreshCookie({ corsOrigins: [], behindProxy: false })
    const headers = new Headers({ cookie: 'taskwarden-refresh=x', origin: 'http://a b' })
    const request = { url: 'http://a b/', headers } as Request

    expect(cookie.isFromAllowedOrigin(request)).toBe(false)
    expect(cookie.read(request)).toBeUndefined()
  })

  test('is read by refresh and sign-out only', async () => {
    const here = await service()
    const ada = await inBrowser(here)
    const routes = [
      ['GET', '/api/tasks'],
      ['GET', '/api/auth/me'],
      ['GET', '/api/auth/sessions'],
      ['DELETE', '/api/auth/sessions'],
    ] as const

    for (const [method, path] of routes) {
      const headers = { cookie: ada.cookie, ...own }
      expect((await here.call(method, path, { headers })).status).toBe(401)
    }
  })

  test('with a forged value is 401, and one of another name is ignored', async () => {
    const here = await service()
    const ada = await inBrowser(here)
    const value = ada.sent?.value ?? ''

    for (const cookie of [
      `taskwarden-refresh=${value}x`,
      `taskwarden-refresh=${value.slice(0, -1)}`,
      'taskwarden-refresh=',
      `__Host-taskwarden-refresh=${value}`,
      `taskwarden-refresh2=${value}`,
      `x=taskwarden-refresh=${value}`,
      '=;=;;',
    ])
      expect([cookie, (await ada.refresh({ ...own, cookie })).status]).toEqual([cookie, 401])
    expect((await ada.refresh({ ...own, cookie: `a=b; ${ada.cookie}; c=d` })).status).toBe(200)
  })
})
