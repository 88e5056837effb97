import { describe, expect, test } from 'bun:test'
import { filled, service } from '../support/service.ts'

const origin = 'https://app.example.test'
const api = await service({ CORS_ORIGINS: `${origin}, http://localhost:5173` })
const corsOf = (headers: Headers) =>
  Object.fromEntries([...headers].filter(([name]) => name.startsWith('access-control-')))
const preflight = (from: string, method = 'PUT') => ({
  headers: {
    origin: from,
    'access-control-request-method': method,
    'access-control-request-headers': 'authorization, content-type, if-match',
  },
})
const listed = (headers: Headers, name: string) =>
  (headers.get(name) ?? '').split(', ').map((one) => one.toLowerCase())

const otherOrigins = [
  'https://evil.example.test',
  'null',
  '*',
  'http://app.example.test',
  'https://app.example.test:8443',
  'https://app.example.test.evil.test',
  'https://evil-app.example.test',
  'https://sub.app.example.test',
  'https://app.example.test/',
  'HTTPS://APP.EXAMPLE.TEST',
  `${origin}, https://evil.example.test`,
  '',
]

describe('a page of a listed origin', () => {
  test.each([origin, 'http://localhost:5173'])('%s may read every kind of answer', async (from) => {
    const ada = await api.someone()
    const { body: task } = await ada.call('POST', '/api/tasks', { title: 'x' })
    const kinds: [string, string, number][] = [
      ['GET', '/api/tasks', 200],
      ['GET', `/api/tasks/${task.id}`, 200],
      ['GET', filled('/api/tasks/:id'), 404],
      ['GET', '/api/nothing', 404],
      ['POST', '/api/tasks/trash', 405],
      ['POST', '/api/tasks', 422],
      ['GET', '/health', 200],
      ['GET', '/docs/json', 200],
      ['GET', '/api/tasks/export', 200],
    ]

    for (const [method, path, expected] of kinds) {
      const { status, headers } = await ada.call(method, path, undefined, { origin: from })
      expect([path, status]).toEqual([path, expected])
      expect(headers.get('access-control-allow-origin')).toBe(from)
      expect(listed(headers, 'vary')).toContain('origin')
    }
    const unauthenticated = await api.call('GET', '/api/tasks', { headers: { origin: from } })
    expect(unauthenticated.status).toBe(401)
    expect(unauthenticated.headers.get('access-control-allow-origin')).toBe(from)
  })

  test('can read the headers that a client needs', async () => {
    const { headers } = await api.call('GET', '/health', { headers: { origin } })

    for (const name of [
      'etag',
      'link',
      'location',
      'ratelimit',
      'ratelimit-limit',
      'ratelimit-policy',
      'ratelimit-remaining',
      'ratelimit-reset',
      'retry-after',
      'x-request-id',
      'idempotency-replayed',
    ])
      expect(listed(headers, 'access-control-expose-headers')).toContain(name)
  })

  test('gets the methods of the path by a preflight, without a token and uncounted', async () => {
    const path = filled('/api/tasks/:id')
    const first = await api.call('GET', '/api/tasks')

    const { status, headers, text } = await api.call('OPTIONS', path, preflight(origin))
    const second = await api.call('GET', '/api/tasks')

    expect([status, text]).toEqual([204, ''])
    expect(headers.get('access-control-allow-origin')).toBe(origin)
    expect(listed(headers, 'access-control-allow-methods')).toEqual(listed(headers, 'allow'))
    expect(listed(headers, 'access-control-allow-methods')).toContain('put')
    for (const name of ['authorization', 'content-type', 'if-match', 'idempotency-key'])
      expect(listed(headers, 'access-control-allow-headers')).toContain(name)
    expect(headers.get('access-control-max-age')).toBe('7200')
    expect(headers.get('ratelimit-limit')).toBeNull()
    const left = ({ headers }: typeof first) => Number(headers.get('ratelimit-remaining'))
    expect(left(first) - left(second)).toBe(1)
  })

  test('gets no methods by a preflight for an unknown path, which is counted', async () => {
    const { status, headers } = await api.call('OPTIONS', '/api/nothing', preflight(origin))

    expect([status, headers.get('access-control-allow-origin')]).toEqual([404, origin])
    expect(headers.get('access-control-allow-methods')).toBeNull()
    expect(headers.get('ratelimit-limit')).not.toBeNull()
  })

  test('gets credentials, for the refresh cookie, and no wildcard', async () => {
    for (const answer of [
      await api.call('GET', '/health', { headers: { origin } }),
      await api.call('OPTIONS', '/api/tasks', preflight(origin)),
    ]) {
      expect(answer.headers.get('access-control-allow-credentials')).toBe('true')
      expect(Object.values(corsOf(answer.headers)).join()).not.toContain('*')
    }
  })
})

describe('a page of another origin', () => {
  test.each(otherOrigins)('%p gets no CORS header, in a preflight neither', async (from) => {
    for (const answer of [
      await api.call('GET', '/health', { headers: { origin: from } }),
      await api.call('GET', '/api/tasks', { headers: { origin: from } }),
      await api.call('OPTIONS', '/api/tasks', preflight(from, 'POST')),
    ]) {
      expect(corsOf(answer.headers)).toEqual({})
      expect(listed(answer.headers, 'vary')).toContain('origin')
    }
  })

  test('includes every origin if CORS_ORIGINS is not set', async () => {
    const closed = await service()

    const { headers } = await closed.call('GET', '/health', { headers: { origin } })

    expect(corsOf(headers)).toEqual({})
    expect(headers.get('vary')).toBeNull()
  })
})

const asking = { 'access-control-request-method': 'PUT' }
test.each([
  ['OPTIONS', 'an Origin alone', { origin }],
  ['OPTIONS', 'no Origin', asking],
  ['GET', 'all that a preflight has', { origin, ...asking }],
])('%s with %s is not a preflight, and is counted', async (method, _, headers) => {
  const { headers: answered } = await api.call(method, '/api/tasks', { headers })

  expect(answered.get('ratelimit-limit')).not.toBeNull()
  expect(answered.get('access-control-allow-methods')).toBeNull()
})

test('a compressed file varies by Origin and by Accept-Encoding', async () => {
  const { text } = await api.call('GET', '/docs')
  const [path = ''] = /\/docs\/swagger-ui[^"]*\.css/.exec(text) ?? []

  const { headers } = await api.call('GET', path, { headers: { origin } })

  expect(listed(headers, 'vary').sort()).toEqual(['accept-encoding', 'origin'])
})

test.each([
  '*',
  'app.example.test',
  'https://app.example.test/',
  'https://a.test,*',
  'null',
  'https://*.example.test',
  'file://x',
])('CORS_ORIGINS=%s stops the process at start', async (CORS_ORIGINS) => {
  await expect(service({ CORS_ORIGINS })).rejects.toThrow(/^CORS_ORIGINS: [^\n]+$/)
})

describe('every response', () => {
  test('runs no script, cannot be framed and sends no referrer', async () => {
    for (const path of ['/api/tasks', '/health', '/problems', '/api/nothing']) {
      const { headers } = await api.call('GET', path)
      expect(headers.get('content-security-policy')).toBe(
        "default-src 'none'; frame-ancestors 'none'",
      )
      expect(headers.get('referrer-policy')).toBe('no-referrer')
      expect(headers.get('x-content-type-options')).toBe('nosniff')
      expect(headers.get('server')).toBeNull()
      expect(headers.get('x-powered-by')).toBeNull()
    }
  })

  test('has Strict-Transport-Security if a trusted proxy reports https', async () => {
    const behind = await service({ TRUST_PROXY: 'fly' })
    const hsts = async ({ call }: typeof api, proto: string) =>
      (await call('GET', '/health', { headers: { 'x-forwarded-proto': proto } })).headers.get(
        'strict-transport-security',
      )

    expect(await hsts(behind, 'https')).toBe('max-age=31536000')
    expect(await hsts(behind, 'http')).toBeNull()
    expect(await hsts(api, 'https')).toBeNull()
  })
})
