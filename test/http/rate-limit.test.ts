import { afterEach, describe, expect, test } from 'bun:test'
import { type RateLimitCounters, RateLimitStoreUnavailable } from '../../src/rate-limit/store.ts'
import {
  type Answer,
  pass,
  realTime,
  rowsOf,
  type Service,
  sentBy,
  service,
} from '../support/service.ts'

afterEach(realTime)

const real = { RATE_LIMIT: '100' }
const json = { 'content-type': 'application/json' }
const hour = 3_600_000
const codeOf = ({ status, body }: Answer) => `${status} ${body?.code ?? ''}`.trim()
const left = ({ headers }: Answer) => Number(headers.get('ratelimit-remaining'))

const headersOf = ({ headers }: Answer) =>
  Object.fromEntries([...headers].filter(([name]) => /^(ratelimit.*|retry-after)$/.test(name)))

describe('a user', () => {
  test('has 100 requests per hour, counted down to 0; the 101st is 429 without effect', async () => {
    const { someone } = await service(real)
    const ada = await someone()

    for (let remaining = 99; remaining >= 0; remaining--) {
      const answer = await ada.call('POST', '/api/tasks', { title: 'x' })
      expect([answer.status, left(answer)]).toEqual([201, remaining])
    }
    const before = await rowsOf(ada.id)
    for (const [method, path, body] of [
      ['POST', '/api/tasks', { title: 'x' }],
      ['DELETE', `/api/tasks/${before.tasks[0]?.id}`, undefined],
      ['PATCH', '/api/auth/me', { name: 'x' }],
    ] as const) {
      const sent = await sentBy(async () => {
        const answer = await ada.call(method, path, body)
        expect(codeOf(answer)).toBe('429 rate-limited')
        expect(answer.headers.get('content-type')).toBe('application/problem+json')
      })
      expect(sent).toEqual([])
    }
    expect(await rowsOf(ada.id)).toEqual(before)
  })

  test('gets limit, remaining requests and reset time in both header forms', async () => {
    const { someone } = await service({ RATE_LIMIT: '2' })
    const ada = await someone()
    pass(0)
    const first = await ada.call('GET', '/api/tasks')
    pass(10_500)
    const second = await ada.call('GET', '/api/tasks/x')
    const third = await ada.call('GET', '/api/tasks')
    const policy = { 'ratelimit-limit': '2', 'ratelimit-policy': '"api";q=2;w=3600' }

    expect(headersOf(first)).toEqual({
      ...policy,
      'ratelimit-remaining': '1',
      'ratelimit-reset': '3600',
      ratelimit: '"api";r=1;t=3600',
    })
    expect([second.status, headersOf(second)]).toEqual([
      404,
      {
        ...policy,
        'ratelimit-remaining': '0',
        'ratelimit-reset': '3590',
        ratelimit: '"api";r=0;t=3590',
      },
    ])
    expect([third.status, headersOf(third)]).toEqual([
      429,
      {
        ...policy,
        'ratelimit-remaining': '0',
        'ratelimit-reset': '3590',
        ratelimit: '"api";r=0;t=3590',
        'retry-after': '3590',
      },
    ])
  })

  test('has exactly 100 more when the next window starts, and none before', async () => {
    const { someone } = await service(real)
    const ada = await someone()
    pass(0)
    const burn = async () => {
      const statuses = []
      for (let time = 0; time < 101; time++)
        statuses.push((await ada.call('GET', '/api/auth/me')).status)
      return statuses
    }
    const burnt = [...Array(100).fill(200), 429]

    expect(await burn()).toEqual(burnt)
    pass(hour - 100)
    const late = await ada.call('GET', '/api/auth/me')
    expect([late.status, late.headers.get('retry-after')]).toEqual([429, '1'])
    pass(100)
    expect(await burn()).toEqual(burnt)
  })

  test('has one limit over all tokens, which sign-out and sign-in do not reset', async () => {
    const { call, someone } = await service({ RATE_LIMIT: '12' })
    const { email, password, token } = await someone()
    const tokens = [token]
    for (let time = 0; time < 4; time++)
      tokens.push(
        (await call('POST', '/api/auth/login', { body: { email, password } })).body.access_token,
      )

    const remaining = []
    for (const one of [...tokens, ...tokens])
      remaining.push(left(await call('GET', '/api/tasks', { token: one })))
    expect(remaining).toEqual([11, 10, 9, 8, 7, 6, 5, 4, 3, 2])
    await call('POST', '/api/auth/logout', { token })
    const login = await call('POST', '/api/auth/login', { body: { email, password } })
    const next = await call('GET', '/api/tasks', { token: login.body.access_token })
    expect(left(next)).toBe(1)
  })

  test('has a limit separate from other users and from the address', async () => {
    const { call, someone } = await service({ RATE_LIMIT: '3' })
    const [ada, bob] = [await someone(), await someone()]
    for (let time = 0; time < 4; time++) await ada.call('GET', '/api/tasks')

    expect((await ada.call('GET', '/api/tasks')).status).toBe(429)
    expect(left(await bob.call('GET', '/api/tasks'))).toBe(2)
    expect(left(await call('GET', '/api/tasks'))).toBe(0)
    expect((await call('GET', '/api/tasks')).status).toBe(429)
    expect(left(await bob.call('GET', '/api/tasks'))).toBe(1)
  })

  test('gets 100 of 150 concurrent requests', async () => {
    const { someone } = await service(real)
    const ada = await someone()

    const answers = await Promise.all(
      Array.from({ length: 150 }, () => ada.call('POST', '/api/tasks', { title: 'x' })),
    )

    const statuses = answers.map(({ status }) => status)
    expect(statuses.filter((status) => status === 201)).toHaveLength(100)
    expect(statuses.filter((status) => status === 429)).toHaveLength(50)
    expect((await rowsOf(ada.id)).tasks).toHaveLength(100)
  })
})

/** Every kind of response, and who it is counted for. */
const kinds: [string, 'user' | 'address', (here: Service, token: string) => Promise<Answer>][] = [
  ['200', 'user', ({ call }, token) => call('GET', '/api/tasks', { token })],
  ['200', 'user', ({ call }, token) => call('HEAD', '/api/tasks', { token })],
  ['201', 'user', ({ call }, token) => call('POST', '/api/tasks', { token, body: { title: 'x' } })],
  ['204', 'user', ({ call }, token) => call('OPTIONS', '/api/tasks', { token })],
  [
    '400 malformed-request',
    'user',
    ({ call }, token) => call('POST', '/api/tasks', { token, body: '{', headers: json }),
  ],
  [
    '400 malformed-request',
    'user',
    ({ call }, token) => call('GET', '/api/tasks?cursor=x', { token }),
  ],
  [
    '400 malformed-request',
    'user',
    ({ call }, token) => call('GET', '/api/tasks?limit=%ff', { token }),
  ],
  [
    '403 wrong-password',
    'user',
    ({ call }, token) => call('DELETE', '/api/auth/me', { token, body: { current_password: 'x' } }),
  ],
  ['404 not-found', 'user', ({ call }, token) => call('GET', '/nothing', { token })],
  ['404 task-not-found', 'user', ({ call }, token) => call('GET', '/api/tasks/x', { token })],
  ['404 task-not-found', 'user', ({ call }, token) => call('DELETE', '/api/tasks/x', { token })],
  ['405 method-not-allowed', 'user', ({ call }, token) => call('PUT', '/api/tasks', { token })],
  [
    '413 body-too-large',
    'user',
    ({ call }, token) =>
      call('POST', '/api/tasks', {
        token,
        body: 'x'.repeat(70_000),
        headers: { ...json, 'content-length': '70000' },
      }),
  ],
  [
    '413 body-too-large',
    'user',
    ({ call }, token) =>
      call('POST', '/api/tasks', { token, body: 'x'.repeat(70_000), headers: json }),
  ],
  [
    '415 unsupported-media-type',
    'user',
    ({ call }, token) =>
      call('POST', '/api/tasks', { token, body: 'x', headers: { 'content-type': 'text/plain' } }),
  ],
  [
    '422 invalid-request',
    'user',
    ({ call }, token) => call('POST', '/api/tasks', { token, body: {} }),
  ],
  ['422 invalid-request', 'user', ({ call }, token) => call('GET', '/api/tasks?x=1', { token })],
  [
    '200',
    'address',
    ({ call }, token) =>
      call('POST', '/api/auth/login', {
        token,
        body: { email: emailOf(token), password: 'correct horse battery' },
      }),
  ],
  ['204', 'address', ({ call }) => call('OPTIONS', '/api/tasks')],
  [
    '400 invalid_request',
    'address',
    ({ call }) =>
      call('POST', '/api/oauth/token', {
        body: '',
        headers: { 'content-type': 'application/x-www-form-urlencoded' },
      }),
  ],
  [
    '400 malformed-request',
    'address',
    ({ call }) => call('POST', '/api/auth/login', { body: '{', headers: json }),
  ],
  [
    '401 invalid-credentials',
    'address',
    ({ call }) => call('POST', '/api/auth/login', { body: { email: 'x', password: 'y' } }),
  ],
  ['401 unauthenticated', 'address', ({ call }) => call('GET', '/api/tasks')],
  [
    '401 unauthenticated',
    'address',
    ({ call }, token) => call('GET', '/api/tasks', { token: `${token}x` }),
  ],
  ['401 unauthenticated', 'address', ({ call }) => call('POST', '/api/auth/logout')],
  ['404 not-found', 'address', ({ call }) => call('GET', '/nothing')],
  [
    '404 not-found',
    'address',
    ({ call }, token) => call('GET', '/nothing', { token: `${token}x` }),
  ],
  ['405 method-not-allowed', 'address', ({ call }) => call('PUT', '/api/tasks')],
  [
    '409 email-taken',
    'address',
    ({ call }, token) =>
      call('POST', '/api/auth/register', {
        body: { email: emailOf(token), password: 'correct horse battery' },
      }),
  ],
  [
    '413 body-too-large',
    'address',
    ({ call }) => call('POST', '/api/auth/login', { body: 'x'.repeat(70_000), headers: json }),
  ],
  [
    '415 unsupported-media-type',
    'address',
    ({ call }) =>
      call('POST', '/api/auth/login', { body: 'x', headers: { 'content-type': 'text/plain' } }),
  ],
  ['422 invalid-request', 'address', ({ call }) => call('POST', '/api/auth/login', { body: {} })],
  [
    '422 weak-password',
    'address',
    ({ call }) =>
      call('POST', '/api/auth/register', { body: { email: 'x@y', password: 'password' } }),
  ],
]

const emails = new Map<string, string>()
const emailOf = (token: string) => emails.get(token)

const codeOrError = (answer: Answer) =>
  `${answer.status} ${answer.body?.code ?? answer.body?.error ?? ''}`.trim()

describe('a response', () => {
  test.each(kinds)(
    '%s counts once for the %s only, and is 429 over the limit',
    async (code, whom, send) => {
      const here = await service({ RATE_LIMIT: '8' })
      const { token, email, call } = await here.someone()
      emails.set(token, email)
      /** The remaining requests of user and address; reading them costs one of each. */
      const look = async () => [
        left(await call('GET', '/api/auth/me')),
        left(await here.call('GET', '/nothing')),
      ]

      const [user = 0, address = 0] = await look()
      const answer = await send(here, token)
      const after = await look()

      expect(codeOrError(answer)).toBe(code)
      expect(after).toEqual(whom === 'user' ? [user - 2, address - 1] : [user - 1, address - 2])
      const fields = [
        'ratelimit',
        'ratelimit-limit',
        'ratelimit-policy',
        'ratelimit-remaining',
        'ratelimit-reset',
      ]
      expect(Object.keys(headersOf(answer)).sort()).toEqual(fields)
      expect(left(answer)).toBe((whom === 'user' ? user : address) - 1)

      for (let time = 0; time < 9; time++)
        await (whom === 'user' ? call('GET', '/nothing') : here.call('GET', '/nothing'))
      const over = await send(here, token)
      expect(over.status).toBe(429)
      expect(over.headers.get('retry-after')).toMatch(/^\d+$/)
    },
  )

  test("for an ended session is counted for the address, and the user's count is returned", async () => {
    const here = await service(real)
    const ada = await here.someone()
    const login = await here.call('POST', '/api/auth/login', {
      body: { email: ada.email, password: ada.password },
    })
    const dead = login.body.access_token as string
    await here.call('POST', '/api/auth/logout', { token: dead })
    const user = left(await ada.call('GET', '/api/tasks'))
    const address = left(await here.call('GET', '/nothing'))

    const sends: Answer[] = [
      await here.call('GET', '/api/tasks', { token: dead }),
      await here.call('POST', '/api/tasks', { token: dead, body: '{', headers: json }),
      await here.call('POST', '/api/tasks', { token: dead, body: {} }),
      await here.call('POST', '/api/tasks', {
        token: dead,
        body: 'x',
        headers: { 'content-type': 'x/y' },
      }),
      await here.call('DELETE', '/api/auth/sessions', { token: dead }),
      await here.call('PUT', '/api/auth/me/password', { token: dead, body: {} }),
      // Responses before the session check must not cost the user either.
      await here.call('GET', '/nothing', { token: dead }),
      await here.call('PUT', '/api/tasks', { token: dead }),
      await here.call('OPTIONS', '/api/tasks', { token: dead }),
      await here.call('POST', '/api/tasks', {
        token: dead,
        body: 'x'.repeat(70_000),
        headers: { 'content-length': '70000' },
      }),
    ]

    expect(sends.map(({ status }) => status)).toEqual([
      401, 401, 401, 401, 401, 401, 404, 405, 204, 413,
    ])
    expect(sends.map(left)).toEqual(sends.map((_, at) => address - at - 1))
    expect(left(await ada.call('GET', '/api/tasks'))).toBe(user - 1)
  })

  test('of a service route is not counted and has no RateLimit headers', async () => {
    const { call, someone } = await service({ RATE_LIMIT: '2' })
    const ada = await someone()

    for (let time = 0; time < 5; time++)
      for (const path of [
        '/',
        '/health',
        '/ready',
        '/problems',
        '/problems/internal',
        '/problems/x',
      ])
        for (const method of ['GET', 'HEAD', 'OPTIONS', 'POST']) {
          const answer = await call(method, path, { token: ada.token })
          expect(answer.status).not.toBe(429)
          expect(headersOf(answer)).toEqual({})
        }
    expect(left(await ada.call('GET', '/api/tasks'))).toBe(1)
  })
})

describe('an address', () => {
  test('has 100 requests per hour before sign-in, on all routes together', async () => {
    const { call } = await service(real)

    for (let remaining = 99; remaining >= 0; remaining--)
      expect(left(await call('GET', remaining % 2 ? '/api/tasks' : '/nothing'))).toBe(remaining)
    expect(codeOf(await call('GET', '/api/tasks'))).toBe('429 rate-limited')
    expect(
      codeOf(await call('POST', '/api/auth/login', { body: { email: 'x', password: 'y' } })),
    ).toBe('429 rate-limited')
  })

  test.each([
    'x-forwarded-for',
    'x-real-ip',
    'fly-client-ip',
    'forwarded',
    'x-client-ip',
    'cf-connecting-ip',
  ])('is the peer of the socket: %s from an untrusted peer changes nothing', async (name) => {
    const { call } = await service({ RATE_LIMIT: '5' })
    const spoofed = (at: number) =>
      call('GET', '/api/tasks', { headers: { [name]: `198.51.100.${at}` } })

    const statuses = []
    for (let at = 0; at < 6; at++) statuses.push((await spoofed(at)).status)
    expect(statuses).toEqual([401, 401, 401, 401, 401, 429])
  })

  test('may come from a trusted proxy: the hop that it wrote, not what the client sent', async () => {
    const { call } = await service({ RATE_LIMIT: '3', TRUST_PROXY: '1' })
    const from = (chain: string) =>
      call('GET', '/api/tasks', { headers: { 'x-forwarded-for': chain } })

    expect(left(await from('192.0.2.1'))).toBe(2)
    expect(left(await from('198.51.100.1, 192.0.2.1'))).toBe(1)
    expect(left(await from('198.51.100.2, 192.0.2.2'))).toBe(2)
    expect(left(await from('198.51.100.3,192.0.2.1'))).toBe(0)
  })

  test('of IPv6 is its /64 in any form; a mapped IPv4 address is the IPv4 address', async () => {
    const here = await service(real)
    const from = async (peer: string) => {
      here.peer.address = peer
      return left(await here.call('GET', '/api/tasks'))
    }

    expect(await from('2001:db8::1')).toBe(99)
    expect(await from('2001:0DB8:0:0:ffff:1:2:3')).toBe(98)
    expect(await from('2001:db8:0:1::1')).toBe(99)
    expect(await from('192.0.2.9')).toBe(99)
    expect(await from('::ffff:192.0.2.9')).toBe(98)
    expect(await from('::1')).toBe(99)
  })
})

test('a public route is counted for the address, even with a token', async () => {
  const { someone } = await service()
  const ada = await someone()
  const { email, password } = ada
  const left = async () => {
    const { headers } = await ada.call('GET', '/api/tasks')
    return Number(headers.get('ratelimit-remaining'))
  }
  const before = await left()

  const { status } = await ada.call('POST', '/api/auth/login', { email, password })

  expect([status, await left()]).toEqual([200, before - 1])
})

describe('the limit for ending sessions', () => {
  const endings: [string, string, object | undefined, number][] = [
    ['POST', '/api/auth/logout', undefined, 204],
    ['DELETE', '/api/auth/sessions', undefined, 204],
    ['DELETE', '/api/auth/sessions/x', undefined, 404],
    [
      'PUT',
      '/api/auth/me/password',
      { current_password: 'correct horse battery', new_password: 'wrong donkey power plant' },
      204,
    ],
  ]

  test.each(endings)(
    'lets %s %s through where the API’s own is burnt',
    async (method, path, body, status) => {
      const { someone } = await service({ RATE_LIMIT: '1' })
      const ada = await someone()
      for (let time = 0; time < 3; time++) await ada.call('GET', '/api/tasks')
      expect((await ada.call('GET', '/api/tasks')).status).toBe(429)

      const answer = await ada.call(method, path, body)
      expect(answer.status).toBe(status)
      expect(headersOf(answer)).toMatchObject({
        'ratelimit-limit': '20',
        'ratelimit-remaining': '19',
        'ratelimit-policy': '"endings";q=20;w=3600',
        ratelimit: expect.stringMatching(/^"endings";r=19;t=\d+$/),
      })
    },
  )

  test('is 20 per window and session, over all of these routes', async () => {
    const here = await service(real)
    const ada = await here.someone()
    const login = await here.call('POST', '/api/auth/login', {
      body: { email: ada.email, password: ada.password },
    })
    const end = (token: string, at = 0) =>
      at % 2
        ? here.call('DELETE', '/api/auth/sessions/x', { token })
        : here.call('PUT', '/api/auth/me/password', { token, body: {} })

    for (let at = 0; at < 20; at++) {
      const answer = await end(ada.token, at)
      expect([answer.status, left(answer)]).toEqual([at % 2 ? 404 : 422, 19 - at])
    }
    const refused = await end(ada.token)
    expect(codeOf(refused)).toBe('429 rate-limited')
    expect(refused.headers.get('ratelimit-policy')).toBe('"endings";q=20;w=3600')
    expect(refused.headers.get('retry-after')).toMatch(/^\d+$/)
    expect(left(await end(login.body.access_token, 1))).toBe(19)
    expect(left(await ada.call('GET', '/api/tasks'))).toBe(99)
    pass(hour)
    expect((await end(ada.token, 1)).status).toBe(404)
  })

  test('is named endings, and the API limit api, also if both are 20', async () => {
    const { someone } = await service({ RATE_LIMIT: '20' })
    const ada = await someone()
    const policyOf = async (method: string, path: string) =>
      (await ada.call(method, path)).headers.get('ratelimit-policy')

    expect(await policyOf('GET', '/api/tasks')).toBe('"api";q=20;w=3600')
    expect(await policyOf('GET', '/nothing')).toBe('"api";q=20;w=3600')
    expect(await policyOf('DELETE', '/api/auth/sessions/x')).toBe('"endings";q=20;w=3600')
    expect(await policyOf('POST', '/api/auth/logout')).toBe('"endings";q=20;w=3600')
  })
})

test('the window is RATE_WINDOW_SECONDS', async () => {
  const { someone } = await service({ RATE_LIMIT: '1', RATE_WINDOW_SECONDS: '10' })
  const ada = await someone()
  pass(0)

  const first = await ada.call('GET', '/api/tasks')
  expect(first.headers.get('ratelimit')).toBe('"api";r=0;t=10')
  expect((await ada.call('GET', '/api/tasks')).headers.get('retry-after')).toBe('10')
  pass(10_000)
  expect((await ada.call('GET', '/api/tasks')).status).toBe(200)
})

test('a database that does not respond changes neither 404 nor OPTIONS', async () => {
  const working = await service()
  const { token } = await working.someone()
  const db = () => {
    throw Object.assign(new Error('gone'), { code: 'ECONNREFUSED' })
  }
  const { call } = await service({}, { db })
  const statusOf = async (method: string, path: string, more = {}) =>
    (await call(method, path, { token, ...more })).status
  const long = { body: 'x'.repeat(70_000), headers: { 'content-length': '70000' } }

  expect([
    await statusOf('GET', '/nothing'),
    await statusOf('PUT', '/api/tasks'),
    await statusOf('OPTIONS', '/api/tasks'),
    await statusOf('POST', '/api/tasks', long),
  ]).toEqual([404, 405, 204, 413])
  // A response that depends on the session is 503.
  expect(await statusOf('POST', '/api/tasks', { body: {} })).toBeGreaterThanOrEqual(500)
})

test('a store that does not respond is 503 without effect, and no request passes uncounted', async () => {
  const broken: RateLimitCounters = {
    add: () => {
      throw new RateLimitStoreUnavailable('unreachable')
    },
    decrement: () => {},
    reset: () => {},
  }
  const working = await service()
  const { token, id } = await working.someone()
  const before = await rowsOf(id)
  const { call } = await service({}, { rateLimitStore: broken })

  for (const [method, path, sent] of [
    ['GET', '/api/tasks', { token }],
    ['POST', '/api/tasks', { token, body: { title: 'x' } }],
    ['POST', '/api/tasks', { token, body: {} }],
    ['GET', '/api/tasks', {}],
    ['GET', '/nothing', {}],
    ['POST', '/api/auth/logout', { token }],
    ['POST', '/api/auth/login', { body: { email: 'x', password: 'y' } }],
  ] as const) {
    const answer = await call(method, path, sent)
    expect([method, path, codeOf(answer)]).toEqual([method, path, '503 unavailable'])
    expect(Number(answer.headers.get('retry-after'))).toBeGreaterThan(0)
  }
  expect((await call('GET', '/health')).status).toBe(200)
  expect(await rowsOf(id)).toEqual(before)
})
