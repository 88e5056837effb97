import { afterAll, afterEach, beforeAll, describe, expect, test } from 'bun:test'
import { createHmac } from 'node:crypto'
import { betterAuth } from 'better-auth'
import { memoryAdapter } from 'better-auth/adapters/memory'
import { jwt } from 'better-auth/plugins'
import { eq } from 'drizzle-orm'
import { exportJWK, generateKeyPair, type JWTPayload, SignJWT } from 'jose'
import { sessions } from '../../src/db/schema.ts'
import {
  at,
  database,
  pass,
  realTime,
  rowsOf,
  type Service,
  sentBy,
  service,
} from '../support/service.ts'

afterEach(realTime)

const sharedSecret = 'a secret that two services share with each other'
const shared = {
  issuer: 'https://old.example.test',
  audience: 'tasks',
  algorithms: ['HS256'],
  secret: sharedSecret,
}
const published = { issuer: 'https://idp.example.test', audience: 'tasks', algorithms: ['EdDSA'] }

const nowSeconds = () => Math.floor(Date.now() / 1000)
const claimsOf = (more: JWTPayload = {}): JWTPayload => ({
  iss: shared.issuer,
  aud: 'tasks',
  sub: 'ada|42',
  iat: nowSeconds(),
  exp: nowSeconds() + 900,
  ...more,
})

const signed = (claims: JWTPayload, header: Record<string, unknown> = {}, secret = sharedSecret) =>
  new SignJWT(claims)
    .setProtectedHeader({ alg: 'HS256', ...header })
    .sign(new TextEncoder().encode(secret))

/** A token with a header that a library refuses to sign. */
const signedByHand = async (header: Record<string, unknown>) => {
  const part = (value: unknown) => Buffer.from(JSON.stringify(value)).toString('base64url')
  const text = `${part(header)}.${part(claimsOf())}`
  return `${text}.${createHmac('sha256', sharedSecret).update(text).digest('base64url')}`
}

/** An issuer with public keys that counts requests and can be down. */
const keyServer = () => {
  const state = { keys: [] as unknown[], isDown: false, asked: 0, characters: 0 }
  const server = Bun.serve({
    hostname: '127.0.0.1',
    port: 0,
    fetch: ({ url }) => {
      state.asked++
      if (url.endsWith('/moved')) return Response.redirect(new URL('/jwks', url).href)
      if (url.endsWith('/page')) return new Response('<html>')
      const text = JSON.stringify({ keys: state.keys }).padEnd(state.characters)
      // The error response contains valid keys, which must be ignored.
      return new Response(text, { status: state.isDown ? 502 : 200 })
    },
  })
  const stop = () => server.stop(true)
  const add = async (kid: string, alg = 'EdDSA') => {
    const { privateKey, publicKey } = await generateKeyPair(alg, { extractable: true })
    state.keys.push({ ...(await exportJWK(publicKey)), kid, alg, use: 'sig' })
    return (claims: JWTPayload, header: Record<string, unknown> = {}) =>
      new SignJWT(claims).setProtectedHeader({ alg, kid, ...header }).sign(privateKey)
  }
  return { state, add, stop, url: server.url.href, jwks_uri: new URL('/jwks', server.url).href }
}

const trusting = (issuers: unknown[], more: Record<string, string> = {}) =>
  service({ TRUSTED_ISSUERS: JSON.stringify(issuers), ...more })

const statusOf = async ({ call }: Service, token: string, path = '/api/tasks') =>
  (await call('GET', path, { token })).status

describe('Better Auth', () => {
  const memory = { user: [], session: [], account: [], verification: [], jwks: [] }
  let server: ReturnType<typeof Bun.serve>
  let api: Service
  let base: string

  beforeAll(async () => {
    let handler: ((request: Request) => Promise<Response>) | undefined
    server = Bun.serve({
      hostname: '127.0.0.1',
      port: 0,
      fetch: (request) => handler?.(request) ?? new Response('', { status: 503 }),
    })
    base = server.url.origin
    const auth = betterAuth({
      baseURL: base,
      secret: 'a secret of Better Auth for this test alone',
      database: memoryAdapter(memory),
      emailAndPassword: { enabled: true },
      plugins: [jwt()],
      telemetry: { enabled: false },
      rateLimit: { enabled: false },
      logger: { disabled: true },
    })
    handler = auth.handler
    api = await trusting([
      {
        issuer: base,
        audience: base,
        algorithms: ['EdDSA'],
        jwks_uri: `${base}/api/auth/jwks`,
      },
    ])
  })
  afterAll(() => server.stop(true))

  const signUp = async (email: string) => {
    const signedUp = await fetch(`${base}/api/auth/sign-up/email`, {
      method: 'POST',
      headers: { 'content-type': 'application/json', origin: base },
      body: JSON.stringify({ email, password: 'correct horse battery', name: 'Ada' }),
    })
    const cookie = signedUp.headers
      .getSetCookie()
      .map((one) => one.split(';')[0])
      .join('; ')
    const answer = await fetch(`${base}/api/auth/token`, { headers: { cookie } })
    return ((await answer.json()) as { token: string }).token
  }

  test('its users have their own tasks', async () => {
    const ada = await signUp('ada@elsewhere.test')
    const bob = await signUp('bob@elsewhere.test')

    const made = await api.call('POST', '/api/tasks', { token: ada, body: { title: 'mine' } })
    const mine = await api.call('GET', '/api/tasks', { token: ada })
    const asBob = await api.call('GET', `/api/tasks/${made.body.id}`, { token: bob })
    const me = await api.call('GET', '/api/auth/me', { token: ada })

    expect(made.status).toBe(201)
    expect(mine.body.tasks).toEqual([made.body])
    expect(asBob.status).toBe(404)
    expect(me.body).toEqual({
      id: made.body.user_id,
      email: null,
      name: null,
      created_at: expect.any(String),
      email_verified: false,
      pending_email: null,
      time_zone: 'UTC',
      reminders_by_mail: false,
    })
  })

  test('an e-mail claim does not link to an account with this e-mail', async () => {
    const owner = await api.someone()
    await owner.call('POST', '/api/tasks', { title: 'secret' })
    const before = await rowsOf(owner.id)
    const token = await signUp(owner.email)

    const { body } = await api.call('GET', '/api/tasks', { token })
    const me = await api.call('GET', '/api/auth/me', { token })

    expect(body.tasks).toEqual([])
    expect(me.body.id).not.toBe(owner.id)
    expect(await rowsOf(owner.id)).toEqual(before)
  })
})

describe('a token of a shared secret', () => {
  test('maps to one user over all tokens and instances, and to another user for another issuer', async () => {
    const sub = Bun.randomUUIDv7()
    const other = { ...shared, issuer: 'https://third.example.test', secret: `${sharedSecret}2` }
    const [one, two] = await Promise.all([trusting([shared, other]), trusting([shared])])
    const meOf = async ({ call }: Service, token: string) =>
      (await call('GET', '/api/auth/me', { token })).body.id

    const ids = await Promise.all([
      meOf(one, await signed(claimsOf({ sub }))),
      meOf(two, await signed(claimsOf({ sub, exp: nowSeconds() + 800 }))),
      ...Array.from({ length: 10 }, async (_, at) =>
        meOf(at % 2 ? one : two, await signed(claimsOf({ sub, exp: nowSeconds() + at + 60 }))),
      ),
    ])
    const elsewhere = await meOf(
      one,
      await signed(claimsOf({ sub, iss: other.issuer }), {}, other.secret),
    )

    expect(new Set(ids).size).toBe(1)
    expect(ids[0]).toMatch(/^[0-9a-f-]{36}$/)
    expect(elsewhere).not.toBe(ids[0])
  })

  test('costs one statement per request after the first', async () => {
    const api = await trusting([shared])
    const token = await signed(claimsOf({ sub: Bun.randomUUIDv7() }))
    await statusOf(api, token)

    const sent = await sentBy(() => statusOf(api, token))

    expect(sent).toHaveLength(1)
  })

  test('can use tasks and GET /api/auth/me, and cannot manage the account', async () => {
    const api = await trusting([shared])
    const token = await signed(claimsOf({ sub: Bun.randomUUIDv7() }))
    const closed = api.app.routes.filter(
      ({ path, method }) =>
        path.startsWith('/api/auth/') &&
        !/register|login|password\/|email\/verify/.test(path.replace('me/password', '')) &&
        !(path === '/api/auth/me' && method === 'GET'),
    )

    expect(closed.length).toBeGreaterThan(8)
    for (const { method, path } of closed) {
      const { status, body } = await api.call(method, path, { token })
      expect([method, path, status, body.code]).toEqual([method, path, 403, 'insufficient-scope'])
    }
    expect(await statusOf(api, token, '/api/auth/me')).toBe(200)
  })

  test('is limited by a scope of Taskwarden; other scopes are ignored', async () => {
    const api = await trusting([shared])
    const adding = async (scope?: string) => {
      const token = await signed(claimsOf({ sub: Bun.randomUUIDv7(), ...(scope && { scope }) }))
      const { status } = await api.call('POST', '/api/tasks', { token, body: { title: 'x' } })
      return [await statusOf(api, token), status]
    }

    expect(await adding()).toEqual([200, 201])
    expect(await adding('openid email')).toEqual([200, 201])
    expect(await adding('openid tasks:read')).toEqual([200, 403])
    expect(await adding('tasks:write')).toEqual([403, 201])
  })

  test('has the rate limit of its user', async () => {
    const api = await trusting([shared], { RATE_LIMIT: '2' })
    const sub = Bun.randomUUIDv7()
    const tokens = [60, 120, 180].map((life) => signed(claimsOf({ sub, exp: nowSeconds() + life })))

    const statuses = []
    for (const token of tokens) statuses.push(await statusOf(api, await token))

    expect(statuses).toEqual([200, 200, 429])
  })

  test('is 503 without a statement before the migrations', async () => {
    const api = await service({ TRUSTED_ISSUERS: JSON.stringify([shared]) }, { isUp: () => false })
    const token = await signed(claimsOf({ sub: Bun.randomUUIDv7() }))
    let status = 0

    const sent = await sentBy(async () => {
      status = await statusOf(api, token)
    })

    expect([status, sent]).toEqual([503, []])
  })

  test('is accepted if sign-up is closed', async () => {
    const api = await trusting([shared], { REGISTRATION: 'closed' })

    expect(await statusOf(api, await signed(claimsOf({ sub: Bun.randomUUIDv7() })))).toBe(200)
  })

  test('is refused after its session has ended, and the tasks stay', async () => {
    const api = await trusting([shared])
    const token = await signed(claimsOf({ sub: Bun.randomUUIDv7() }))
    const { body } = await api.call('POST', '/api/tasks', { token, body: { title: 'kept' } })
    const { db } = await database()
    await db.delete(sessions).where(eq(sessions.user_id, body.user_id))

    const afterEnd = await statusOf(api, token)
    pass(301_000)
    const again = await api.call('GET', '/api/tasks', { token })

    expect(afterEnd).toBe(401)
    expect(again.body.tasks).toHaveLength(1)
  })

  test.each(['iat', 'nbf'])('is accepted with %s up to 5 seconds in the future', async (claim) => {
    const api = await trusting([shared])
    at('2026-05-01T00:00:00.000Z')
    const ahead = (seconds: number) => signed(claimsOf({ [claim]: nowSeconds() + seconds }))

    const statuses = [await statusOf(api, await ahead(5)), await statusOf(api, await ahead(6))]

    expect(statuses).toEqual([200, 401])
  })

  const forged: [string, () => Promise<string>][] = [
    ['another secret', () => signed(claimsOf(), {}, 'another secret that is as long as that one')],
    ['another audience', () => signed(claimsOf({ aud: 'taskwarden-api' }))],
    ['no audience', () => signed({ ...claimsOf(), aud: undefined as never })],
    [
      'an issuer that is not configured',
      () => signed(claimsOf({ iss: 'https://unknown.example.test' })),
    ],
    ['our own issuer', () => signed(claimsOf({ iss: 'taskwarden', aud: 'taskwarden-api' }))],
    ['no sub', () => signed(claimsOf({ sub: undefined as never }))],
    ['an empty sub', () => signed(claimsOf({ sub: '' }))],
    ['a sub with NUL', () => signed(claimsOf({ sub: 'a\0b' }))],
    ['a sub with a line feed', () => signed(claimsOf({ sub: 'a\nb' }))],
    ['a sub with a lone surrogate', () => signed(claimsOf({ sub: '\ud800' }))],
    ['a sub that is a list', () => signed(claimsOf({ sub: ['ada'] as never }))],
    ['a sub of 256 characters', () => signed(claimsOf({ sub: 'a'.repeat(256) }))],
    ['no exp', () => signed(claimsOf({ exp: undefined as never }))],
    ['no iat', () => signed(claimsOf({ iat: undefined as never }))],
    ['an exp that has passed', () => signed(claimsOf({ exp: nowSeconds() - 1 }))],
    ['a lifetime over the maximum', () => signed(claimsOf({ exp: nowSeconds() + 86_401 }))],
    ['more than 6000 characters of claims', () => signed(claimsOf({ more: 'x'.repeat(4_500) }))],
    ['an iat in the future', () => signed(claimsOf({ iat: nowSeconds() + 60 }))],
    ['an nbf in the future', () => signed(claimsOf({ nbf: nowSeconds() + 60 }))],
    ['a scope that is a list', () => signed(claimsOf({ scope: ['tasks:read'] as never }))],
    ['another typ', () => signed(claimsOf(), { typ: 'id+jwt' })],
    ['a typ that is a number', () => signed(claimsOf(), { typ: 7 })],
    ['a jwk header', () => signed(claimsOf(), { jwk: { kty: 'oct', k: 'AAAA' } })],
    ['a jku header', () => signed(claimsOf(), { jku: 'http://127.0.0.1:1/' })],
    ['a critical extension', () => signedByHand({ alg: 'HS256', crit: ['x'], x: 1 })],
    ['unencoded payload', () => signedByHand({ alg: 'HS256', b64: false, crit: ['b64'] })],
    ['HS512', () => signed(claimsOf(), { alg: 'HS512' })],
    [
      'no algorithm',
      async () => {
        const [, payload] = (await signed(claimsOf())).split('.')
        return `${Buffer.from('{"alg":"none"}').toString('base64url')}.${payload}.`
      },
    ],
    ['a truncated signature', async () => (await signed(claimsOf())).slice(0, -2)],
  ]
  test.each(forged)('with %s is 401, and sends no statement', async (_, forge) => {
    const api = await trusting([shared])
    // Stops the clock: `iat` and `exp` come from two readings of it.
    pass(0)
    const token = await forge()
    let answer: { status: number; text: string } | undefined

    const sent = await sentBy(async () => {
      answer = await api.call('GET', '/api/tasks', { token })
    })

    expect(answer).toMatchObject({ status: 401, body: { code: 'unauthenticated' } })
    expect(sent).toEqual([])
  })
})

describe('public keys', () => {
  const all: ReturnType<typeof keyServer>[] = []
  const issuer = () => {
    const made = keyServer()
    all.push(made)
    return made
  }
  afterAll(() => all.map(({ stop }) => stop()))
  const claims = (more: JWTPayload = {}) =>
    claimsOf({ iss: published.issuer, sub: Bun.randomUUIDv7(), ...more })

  test('are requested once for many tokens', async () => {
    const { state, add, jwks_uri } = issuer()
    const sign = await add('one')
    const api = await trusting([{ ...published, jwks_uri }])
    const tokens = await Promise.all(Array.from({ length: 20 }, () => sign(claims())))

    const statuses = await Promise.all(tokens.map((token) => statusOf(api, token)))

    expect(new Set(statuses)).toEqual(new Set([200]))
    expect(state.asked).toBe(1)
  })

  test('are requested again for an unknown key id, at most once in 30 seconds', async () => {
    const { state, add, jwks_uri } = issuer()
    const first = await add('one')
    const api = await trusting([{ ...published, jwks_uri }])
    await statusOf(api, await first(claims()))
    const second = await add('two')

    const early = await statusOf(api, await second(claims()))
    pass(30_000)
    const afterCooldown = await statusOf(api, await second(claims()))
    const invented = await Promise.all(
      Array.from({ length: 50 }, async (_, at) =>
        statusOf(api, await first(claims(), { kid: `invented-${at}` })),
      ),
    )

    expect([early, afterCooldown]).toEqual([401, 200])
    expect(new Set(invented)).toEqual(new Set([401]))
    expect(state.asked).toBe(2)
  })

  test('are not requested again for a token without a key id', async () => {
    const { state, add, jwks_uri } = issuer()
    await add('one')
    const sign = await add('two')
    const api = await trusting([{ ...published, jwks_uri }])
    await statusOf(api, await sign(claims()))
    pass(30_000)

    const unnamed = await statusOf(api, await sign(claims(), { kid: undefined }))

    expect([unnamed, state.asked]).toEqual([401, 1])
  })

  test('an unknown key id is 503 while the issuer is down', async () => {
    const { state, add, jwks_uri } = issuer()
    const first = await add('one')
    const api = await trusting([{ ...published, jwks_uri }])
    await statusOf(api, await first(claims()))
    const second = await add('two')
    state.isDown = true
    pass(30_000)

    const unknown = await statusOf(api, await second(claims()))
    const known = await statusOf(api, await first(claims()))

    expect([unknown, known]).toEqual([503, 200])
  })

  test('are valid for a day while the issuer is down; without keys a token is 503', async () => {
    const { state, add, jwks_uri } = issuer()
    const sign = await add('one')
    const [known, fresh] = await Promise.all([
      trusting([{ ...published, jwks_uri }]),
      trusting([{ ...published, jwks_uri }]),
    ])
    await statusOf(known, await sign(claims()))
    state.isDown = true

    const down = await fresh.call('GET', '/api/tasks', { token: await sign(claims()) })
    pass(3_600_000)
    const afterAnHour = await statusOf(known, await sign(claims()))
    pass(86_400_000)
    const afterADay = await statusOf(known, await sign(claims()))
    state.isDown = false
    pass(30_000)
    const upAgain = await statusOf(known, await sign(claims()))

    expect([down.status, down.body.code]).toEqual([503, 'unavailable'])
    expect(down.headers.get('retry-after')).toBe('1')
    expect([afterAnHour, afterADay, upAgain]).toEqual([200, 503, 200])
  })

  test('are read up to 1 MiB', async () => {
    const { state, add, jwks_uri } = issuer()
    const sign = await add('one')
    const asked = async (characters: number) => {
      state.characters = characters
      return statusOf(await trusting([{ ...published, jwks_uri }]), await sign(claims()))
    }

    expect([await asked(1_048_576), await asked(1_048_577)]).toEqual([200, 503])
  })

  test('that were revoked are refused after ten minutes and one request', async () => {
    const { state, add, jwks_uri } = issuer()
    const stolen = await add('one')
    const api = await trusting([{ ...published, jwks_uri }])
    const token = await stolen(claims())
    expect(await statusOf(api, token)).toBe(200)
    state.keys.length = 0
    const current = await add('two')

    pass(600_000)
    await statusOf(api, await current(claims()))

    expect(await statusOf(api, token)).toBe(401)
  })

  test('are used with their own algorithms only, and never as a secret', async () => {
    const { state, add, jwks_uri } = issuer()
    await add('one')
    const es256 = await add('two', 'ES256')
    const api = await trusting([{ ...published, jwks_uri }, shared])
    const { x } = state.keys[0] as { x: string }

    const confused = [
      await signed(claims(), { kid: 'one' }, x),
      await signed(claims(), { kid: 'one' }, JSON.stringify(state.keys[0])),
      await signed(claims(), { kid: 'one' }),
      await es256(claims()),
      await es256(claimsOf()),
    ]

    for (const token of confused) expect(await statusOf(api, token)).toBe(401)
  })

  test.each(['moved', 'page'])('are not fetched from a URL that is %s', async (path) => {
    const { add, url } = issuer()
    const sign = await add('one')
    const api = await trusting([{ ...published, jwks_uri: new URL(path, url).href }])

    expect(await statusOf(api, await sign(claims()))).toBe(503)
  })

  test('that are unavailable do not change 404', async () => {
    const { state, add, jwks_uri } = issuer()
    const sign = await add('one')
    state.isDown = true
    const api = await trusting([{ ...published, jwks_uri }])
    const token = await sign(claims())

    expect(await statusOf(api, token, '/api/nothing')).toBe(404)
    expect((await api.call('PUT', '/api/tasks', { token })).status).toBe(405)
  })
})

describe('TRUSTED_ISSUERS', () => {
  const jwks_uri = 'https://idp.example.test/jwks'
  const refused: [string, unknown][] = [
    ['invalid JSON', '[{'],
    ['an object instead of a list', '{}'],
    ['an unknown member', [{ ...shared, kid: 'x' }]],
    ['no audience', [{ ...shared, audience: undefined }]],
    ['no algorithms', [{ ...shared, algorithms: [] }]],
    ['neither keys nor secret', [{ ...shared, secret: undefined }]],
    ['keys and a secret', [{ ...shared, jwks_uri }]],
    ['a secret for public keys', [{ ...shared, algorithms: ['HS256', 'EdDSA'] }]],
    ['public keys for a secret', [{ ...published, jwks_uri, algorithms: ['HS256'] }]],
    ['no algorithm at all', [{ ...shared, algorithms: ['none'] }]],
    ['a short secret', [{ ...shared, secret: 'short' }]],
    ['our own secret', [{ ...shared, secret: 'a secret that is long enough for the tests' }]],
    ['our own issuer', [{ ...shared, issuer: 'taskwarden' }]],
    ['one issuer twice', [shared, shared]],
    ['keys without TLS', [{ ...published, jwks_uri: 'http://idp.example.test/jwks' }]],
    ['keys in a file', [{ ...published, jwks_uri: 'file:///etc/passwd' }]],
  ]
  test.each(refused)('with %s stops the process at start, with a line', async (_, value) => {
    const text = typeof value === 'string' ? value : JSON.stringify(value)

    await expect(service({ TRUSTED_ISSUERS: text })).rejects.toThrow(/^TRUSTED_ISSUERS: [^\n]+$/)
  })
})
