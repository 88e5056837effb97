import { afterEach, describe, expect, test } from 'bun:test'
import { createJwt } from '../../src/auth/access-tokens/jwt.ts'
import { createTokenCache } from '../../src/auth/access-tokens/token-cache.ts'
import { createCursorCodec } from '../../src/http/cursor-codec.ts'
import { claimsOf, forgeriesOf, head, secret, signed } from '../support/forge.ts'
import { protectedRoutes } from '../support/requests.ts'
import {
  at,
  filled,
  pass,
  realTime,
  rowsOf,
  type Service,
  sentBy,
  service,
} from '../support/service.ts'

afterEach(realTime)

const hour = 3_600_000
const statusOf = async ({ call }: Service, token: string) =>
  (await call('GET', '/api/tasks', { token })).status

describe('a token', () => {
  test('is an at+jwt signed with HS256 that has exactly seven claims and is valid for 24 hours', async () => {
    const { someone } = await service()
    pass(0)
    const ada = await someone()
    const [header = ''] = ada.token.split('.')
    const claims = claimsOf(ada.token)
    const { sessions } = await rowsOf(ada.id)

    expect(JSON.parse(Buffer.from(header, 'base64url').toString())).toEqual(head)
    expect(Object.keys(claims).sort()).toEqual(['aud', 'exp', 'iat', 'iss', 'jti', 'sid', 'sub'])
    expect(claims).toMatchObject({ iss: 'taskwarden', aud: 'taskwarden-api', sub: ada.id })
    expect(claims.sid).toBe(sessions[0]?.id)
    expect(claims.exp - claims.iat).toBe(86_400)
    expect(signed({ claims })).toBe(ada.token)
  })

  test('is accepted with any case of the scheme and more than one space', async () => {
    const { call, someone } = await service()
    const { token } = await someone()

    for (const scheme of ['Bearer', 'bearer', 'BEARER', 'Bearer  '])
      expect(
        (await call('GET', '/api/tasks', { headers: { authorization: `${scheme} ${token}` } }))
          .status,
      ).toBe(200)
  })

  test('of one user cannot use the session of another', async () => {
    const here = await service()
    const [ada, bob] = [await here.someone(), await here.someone()]
    const mixed = signed({ claims: { ...claimsOf(ada.token), sub: bob.id } })

    expect(await statusOf(here, mixed)).toBe(401)
  })

  test('of a sign-in session does not live longer if it has a scope', async () => {
    const here = await service()
    const ada = await here.someone()
    const claims = claimsOf(ada.token)
    const long = { ...claims, exp: claims.iat + 31_536_000 }

    // A token with a scope that this service does not issue is not valid.
    for (const scope of ['', 'x', 'admin', 'tasks:write', 'tasks:write tasks:read', 'tasks:read '])
      expect(await statusOf(here, signed({ claims: { ...claims, scope } }))).toBe(401)
    pass(25 * hour)
    for (const scope of ['tasks:read', 'tasks:write', 'tasks:read tasks:write', '', 'admin'])
      expect(await statusOf(here, signed({ claims: { ...long, scope } }))).toBe(401)
  })
})

test('tokens and cursors require a secret', () => {
  const settings = { issuer: 'taskwarden', audience: 'taskwarden-api', ttlSeconds: 86_400 }

  expect(() => createJwt({ ...settings, secrets: [] })).toThrow('no secret')
  expect(() => createCursorCodec([])).toThrow('no secret')
})

describe('a forged token', () => {
  test('is 401 with the bare challenge, and sends no statement before its signature is verified', async () => {
    const { call, someone } = await service()
    const { token } = await someone()
    // Stops the clock: some tokens have an `iat` in the future, which must not pass during the loop.
    pass(0)
    const forgeries = forgeriesOf(token)
    expect(forgeries.length).toBeGreaterThan(120)
    expect((await call('GET', '/api/tasks', { token })).status).toBe(200)

    for (const [name, authorization] of forgeries) {
      let answer: Awaited<ReturnType<typeof call>> | undefined
      const sent = await sentBy(async () => {
        answer = await call('GET', '/api/tasks', { headers: { authorization } })
      })

      expect([name, answer?.status, answer?.body.code]).toEqual([name, 401, 'unauthenticated'])
      expect(answer?.headers.get('www-authenticate')).toBe(
        'Bearer realm="taskwarden", error="invalid_token"',
      )
      expect(answer?.body.errors).toBeUndefined()
      // The signature of these tokens is valid, so a statement looks for the session.
      const isSigned = name.endsWith('unknown')
      expect([name, sent.length]).toEqual([name, isSigned ? 1 : 0])
    }
  })

  test('is 401 on every route that needs a token', async () => {
    const { app, call, someone } = await service()
    const { token } = await someone()
    const sample = new Set([
      'alg none, no signature',
      'HS512, signed as HS512',
      'wrong secret',
      'no exp',
      'exp now',
      'no sid',
      'sid unknown',
      'aud of another',
      'typ JWT',
      'header kid',
      'another last character for the same bytes',
      'padded',
      'Basic with the token',
      'two tokens',
    ])
    const forgeries = forgeriesOf(token).filter(([name]) => sample.has(name))
    expect(forgeries.length).toBe(sample.size)

    for (const { name, method, path, body } of protectedRoutes(app))
      for (const [forgery, authorization] of forgeries) {
        const { status } = await call(method, filled(path), { body, headers: { authorization } })
        expect([name, forgery, status]).toEqual([name, forgery, 401])
      }
  })

  test('5 000 random tokens are all 401', async () => {
    const { call, someone } = await service()
    const { token } = await someone()
    const alphabet = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_.=+/ ,"'
    const any = (below: number) => Math.floor(Math.random() * below)

    for (let round = 0; round < 5000; round++) {
      const characters = [...token]
      for (let changes = any(3); changes >= 0; changes--)
        characters.splice(any(characters.length), any(3), alphabet[any(alphabet.length)] ?? '')
      const forged = characters.join('')
      if (forged.trim() === token) continue
      const { status } = await call('GET', '/api/auth/me', {
        headers: { authorization: `Bearer ${forged}` },
      })
      expect([forged, status]).toEqual([forged, 401])
    }
  })
})

describe('time', () => {
  test('a token is valid until the second of its expiry, cached or not', async () => {
    const [here, there] = [await service(), await service()]
    // Stops the clock: if a second begins during sign-in, the token ends after its session.
    pass(0)
    const { token } = await here.someone()
    const { exp } = claimsOf(token)

    at(exp * 1000 - 1)
    expect(await statusOf(here, token)).toBe(200)
    at(exp * 1000)
    expect(await statusOf(here, token)).toBe(401)
    expect(await statusOf(there, token)).toBe(401)
    at(exp * 1000 - 1)
    expect(await statusOf(there, token)).toBe(200)
  })

  test('clocks may differ by 5 seconds and no more', async () => {
    const here = await service()
    const { token } = await here.someone()
    const claims = claimsOf(token)
    const issuedIn = (seconds: number) => {
      const iat = Math.floor(Date.now() / 1000) + seconds
      return signed({ claims: { ...claims, iat } })
    }

    at(Math.ceil(Date.now() / 1000) * 1000)
    expect(await statusOf(here, issuedIn(5))).toBe(200)
    expect(await statusOf(here, issuedIn(6))).toBe(401)
  })

  test('JWT_TTL_SECONDS limits the lifetime of tokens and sessions', async () => {
    const here = await service({ JWT_TTL_SECONDS: '600' })
    pass(0)
    const ada = await here.someone()
    const claims = claimsOf(ada.token)
    const longer = signed({ claims: { ...claims, exp: claims.exp + 1 } })

    expect(claims.exp - claims.iat).toBe(600)
    expect(await statusOf(here, longer)).toBe(401)
    const shorter = signed({ claims: { ...claims, exp: claims.iat + 10 } })
    expect(await statusOf(here, shorter)).toBe(200)
  })

  test('a token is valid for a day from its response, also if the statement that started its session was slow', async () => {
    const settings = { issuer: 'taskwarden', audience: 'taskwarden-api', ttlSeconds: 86_400 }
    const { sign } = createJwt({ ...settings, secrets: [secret] })
    at('2026-05-01T12:00:00.700Z')
    const token = await sign(Bun.randomUUIDv7(), Bun.randomUUIDv7(), '2026-05-02T11:59:59.900Z')

    const { iat, exp } = claimsOf(token)
    expect(exp - iat).toBe(86_400)
  })

  test('a session ends after SESSION_MAX_DAYS, also if its tokens would live longer', async () => {
    const { call, someone } = await service({ JWT_TTL_SECONDS: '172800', SESSION_MAX_DAYS: '1' })
    pass(0)
    const { email, password } = await someone()

    const { body } = await call('POST', '/api/auth/login', { body: { email, password } })

    expect(body.expires_in).toBe(86_400)
  })
})

test('the cache keeps 16 384 verified tokens, and none after its expiry', () => {
  const { find, keep } = createTokenCache<number>()
  const until = Date.now() + hour

  for (let seen = 0; seen <= 16_384; seen++) keep(`token ${seen}`, seen, until)

  expect(['token 0', 'token 1', 'token 16384'].map(find)).toEqual([undefined, 1, 16_384])
  pass(hour)
  expect(find('token 1')).toBeUndefined()
})

describe('an ended session', () => {
  const ends: [string, (ada: Awaited<ReturnType<Service['someone']>>) => Promise<unknown>][] = [
    ['by logout', ({ call }) => call('POST', '/api/auth/logout')],
    ['by its id', ({ call, token }) => call('DELETE', `/api/auth/sessions/${claimsOf(token).sid}`)],
    ['with all others', ({ call }) => call('DELETE', '/api/auth/sessions')],
    [
      'with its account',
      ({ call, password }) => call('DELETE', '/api/auth/me', { current_password: password }),
    ],
  ]

  test.each(ends)(
    '%s is refused on the next request, on every instance and route',
    async (_, end) => {
      const [here, there] = [await service(), await service()]
      const ada = await here.someone()
      expect([await statusOf(here, ada.token), await statusOf(there, ada.token)]).toEqual([
        200, 200,
      ])

      expect(await end(ada)).toMatchObject({ status: 204, text: '' })

      for (const instance of [here, there])
        for (const { name, method, path, body } of protectedRoutes(instance.app)) {
          const answer = await instance.call(method, filled(path), { body, token: ada.token })
          expect([name, answer.status, answer.body.code]).toEqual([name, 401, 'unauthenticated'])
          expect(answer.headers.get('www-authenticate')).toBe(
            'Bearer realm="taskwarden", error="invalid_token"',
          )
        }
    },
  )

  test('does not end other sessions', async () => {
    const here = await service()
    const ada = await here.someone()
    const { email, password } = ada
    const login = await here.call('POST', '/api/auth/login', { body: { email, password } })
    const other = login.body.access_token as string

    await ada.call('POST', '/api/auth/logout')
    expect([await statusOf(here, ada.token), await statusOf(here, other)]).toEqual([401, 200])
  })

  test('is every session but the current one after a password change', async () => {
    const [here, there] = [await service(), await service()]
    const ada = await here.someone()
    const { email, password } = ada
    const other = (await there.call('POST', '/api/auth/login', { body: { email, password } })).body
    expect(await statusOf(there, other.access_token)).toBe(200)

    await ada.call('PUT', '/api/auth/me/password', {
      current_password: password,
      new_password: 'wrong donkey power plant',
    })

    expect(await statusOf(here, ada.token)).toBe(200)
    expect(await statusOf(here, other.access_token)).toBe(401)
    expect(await statusOf(there, other.access_token)).toBe(401)
  })

  test('is not in the list, and ending it again is 404', async () => {
    const { call, someone } = await service()
    const ada = await someone()
    const { email, password } = ada
    await call('POST', '/api/auth/login', { body: { email, password } })
    const listed = async () => (await ada.call('GET', '/api/auth/sessions')).body.sessions
    const other = (await listed()).find(({ current }: { current: boolean }) => !current)

    expect((await ada.call('DELETE', `/api/auth/sessions/${other.id}`)).status).toBe(204)
    expect(await listed()).toHaveLength(1)
    const again = await ada.call('DELETE', `/api/auth/sessions/${other.id}`)
    expect([again.status, again.body.code]).toEqual([404, 'session-not-found'])
  })
})

describe('the list of sessions', () => {
  test('has exactly the members of the contract, oldest first, and marks the current session', async () => {
    const { call, someone } = await service()
    const ada = await someone()
    const { email, password } = ada
    pass(hour)
    await call('POST', '/api/auth/login', { body: { email, password } })

    const { status, body } = await ada.call('GET', '/api/auth/sessions')

    expect(status).toBe(200)
    expect(body.sessions.map(({ current }: { current: boolean }) => current)).toEqual([true, false])
    const [first] = body.sessions
    expect(Object.keys(first)).toEqual([
      'id',
      'kind',
      'name',
      'scope',
      'user_agent',
      'created_at',
      'expires_at',
      'last_seen_at',
      'current',
    ])
    expect(first).toMatchObject({
      kind: 'sign-in',
      name: null,
      scope: 'tasks:read tasks:write',
      last_seen_at: first.created_at,
    })
    expect(Date.parse(first.expires_at) - Date.parse(first.created_at)).toBe(24 * hour)
  })

  test('has no expired sessions, and a sign-in deletes them', async () => {
    const { call, someone } = await service()
    const ada = await someone()
    const { email, password } = ada
    pass(30 * 24 * hour)
    const { body } = await call('POST', '/api/auth/login', { body: { email, password } })
    const { sessions } = await rowsOf(ada.id)

    const listed = await call('GET', '/api/auth/sessions', { token: body.access_token })
    expect(listed.body.sessions).toHaveLength(1)
    expect(sessions).toHaveLength(1)
  })

  test('has no session after its expiry, and ending that is 404', async () => {
    const { call, someone } = await service({ SESSION_MAX_DAYS: '1' })
    const ada = await someone()
    const { email, password } = ada
    const other = await call('POST', '/api/auth/login', { body: { email, password } })
    const { sid } = claimsOf(other.body.access_token)
    pass(23 * hour)
    const { body } = await call('POST', '/api/auth/login', { body: { email, password } })
    const { access_token: token } = body
    const idsAt = async () =>
      (await call('GET', '/api/auth/sessions', { token })).body.sessions.map(
        ({ id }: { id: string }) => id,
      )
    expect(await idsAt()).toEqual([claimsOf(ada.token).sid, sid, claimsOf(token).sid])

    pass(hour)
    const ended = await call('DELETE', `/api/auth/sessions/${sid}`, { token })

    expect(await idsAt()).toEqual([claimsOf(token).sid])
    expect([ended.status, ended.body.code]).toEqual([404, 'session-not-found'])
    expect((await rowsOf(ada.id)).sessions).toHaveLength(3)
  })
})

describe('refresh', () => {
  test('gives a token of the same session for another 24 hours; the old token stays valid', async () => {
    const here = await service()
    const ada = await here.someone()

    pass(hour)
    const { status, body } = await ada.call('POST', '/api/auth/refresh')
    const { sessions } = await rowsOf(ada.id)

    expect(status).toBe(200)
    expect(Object.keys(body)).toEqual(['access_token', 'token_type', 'expires_in'])
    expect(body).toMatchObject({ token_type: 'Bearer' })
    expect(body.expires_in).toBe(86_400)
    const [before, after] = [claimsOf(ada.token), claimsOf(body.access_token)]
    expect([after.sid, after.sub]).toEqual([before.sid, before.sub])
    expect(after.jti).not.toBe(before.jti)
    expect(sessions).toHaveLength(1)
    const end = Math.floor(Date.parse(sessions[0]?.expires_at ?? '') / 1000)
    expect(after.exp - end).toBeOneOf([0, 1])
    expect(await statusOf(here, ada.token)).toBe(200)
    pass(23.5 * hour)
    expect(await statusOf(here, ada.token)).toBe(401)
    expect(await statusOf(here, body.access_token)).toBe(200)
  })

  test('never extends a session past SESSION_MAX_DAYS after sign-in', async () => {
    const here = await service({ SESSION_MAX_DAYS: '3' })
    pass(0)
    const ada = await here.someone()
    const end = Math.floor((Date.now() + 72 * hour) / 1000)
    let token = ada.token

    for (const _ of [1, 2, 3]) {
      pass(20 * hour)
      token = (await here.call('POST', '/api/auth/refresh', { token })).body.access_token
    }
    const { exp } = claimsOf(token)

    expect(end - exp).toBeOneOf([0, 1])
    pass(11 * hour)
    const last = await here.call('POST', '/api/auth/refresh', { token })
    expect(claimsOf(last.body.access_token).exp).toBe(exp)
    expect(last.body.expires_in).toBeLessThanOrEqual(3600)
    at(exp * 1000)
    expect((await here.call('POST', '/api/auth/refresh', { token })).status).toBe(401)
  })

  test('of an ended session is 401, and refreshed tokens end with their session', async () => {
    const here = await service()
    const ada = await here.someone()
    const { body } = await ada.call('POST', '/api/auth/refresh')

    await ada.call('POST', '/api/auth/logout')

    expect((await ada.call('POST', '/api/auth/refresh')).status).toBe(401)
    expect(await statusOf(here, body.access_token)).toBe(401)
    expect(
      (await here.call('POST', '/api/auth/refresh', { token: body.access_token })).status,
    ).toBe(401)
  })
})

describe('rotation of the secret', () => {
  const next = 'the secret that replaces the first one'

  test('both secrets of [new, old] verify, and the new one signs', async () => {
    const [before, during, after] = [
      await service(),
      await service({ JWT_SECRET: `${next},${secret}` }),
      await service({ JWT_SECRET: next }),
    ]
    const old = (await before.someone()).token
    const fresh = (await during.someone()).token

    expect([await statusOf(during, old), await statusOf(during, fresh)]).toEqual([200, 200])
    expect([await statusOf(after, old), await statusOf(after, fresh)]).toEqual([401, 200])
    expect([await statusOf(before, old), await statusOf(before, fresh)]).toEqual([200, 401])
    expect(signed({ claims: claimsOf(fresh), secret: next })).toBe(fresh)
  })

  test('keeps cursors valid', async () => {
    const [before, during] = [await service(), await service({ JWT_SECRET: `${next},${secret}` })]
    const ada = await before.someone()
    for (const title of ['a', 'b']) await ada.call('POST', '/api/tasks', { title })
    const { next_cursor } = (await ada.call('GET', '/api/tasks?limit=1')).body

    const path = `/api/tasks?cursor=${next_cursor}`
    expect((await during.call('GET', path, { token: ada.token })).body.tasks).toHaveLength(1)
  })
})

test('cursors of an earlier release are still valid', () => {
  const sealed = 'cl2R9BafBAb7ilbhAK5TqwlUdeUH7fFh-nWa0yAC90ddNMbeDLJg7S4FuUn6'

  expect(createCursorCodec([secret]).decode(sealed, 'bound')).toEqual(['Buy milk', 'id'])
})

test('issuer and audience come from the settings', async () => {
  const here = await service()
  const there = await service({ JWT_ISSUER: 'elsewhere' })
  const other = await service({ JWT_AUDIENCE: 'elsewhere' })
  const { token } = await here.someone()

  expect(await statusOf(there, token)).toBe(401)
  expect(await statusOf(other, token)).toBe(401)
})
