import { afterEach, describe, expect, test } from 'bun:test'
import { and, eq } from 'drizzle-orm'
import { createRefreshTokens } from '../../src/auth/refresh-tokens/token.ts'
import { createSessionActivity } from '../../src/auth/sessions/activity.ts'
import { sessions } from '../../src/db/schema.ts'
import { createLog, type LogFields } from '../../src/log.ts'
import { claimsOf, secret } from '../support/forge.ts'
import {
  createStubDb,
  database,
  operatedAccount,
  pass,
  realTime,
  rowsOf,
  type Service,
  sentBy,
  service,
} from '../support/service.ts'

afterEach(realTime)

const password = 'correct horse battery'
const [second, hour, day] = [1000, 3_600_000, 86_400_000]
const tokens = createRefreshTokens([secret])

/** A signed-in user with a refresh token. */
const signedIn = async (here: Service) => {
  const { email } = await here.someone()
  const { body } = await here.call('POST', '/api/auth/login', { body: { email, password } })
  const first: string = body.refresh_token
  const { userId, sessionId } = tokens.verify(first) ?? { userId: '', sessionId: '' }
  /** The refresh token of a generation, as the service would issue it. */
  const ofGeneration = (generation: number) => tokens.sign({ userId, sessionId, generation })
  const refresh = async (refresh_token: string) => {
    const answer = await here.call('POST', '/api/auth/refresh', { body: { refresh_token } })
    return { ...answer, next: answer.body.refresh_token as string }
  }
  const stored = async () => {
    const { db } = await database()
    const isSession = and(eq(sessions.user_id, userId), eq(sessions.id, sessionId))
    return (await db.select().from(sessions).where(isSession))[0]
  }
  return {
    ...{ email, userId, sessionId, first, token: body.access_token as string },
    ...{ ofGeneration, refresh, stored },
  }
}

describe('a refresh token', () => {
  test('comes with every sign-in, and is valid for SESSION_MAX_DAYS', async () => {
    const { call } = await service({ SESSION_MAX_DAYS: '7' })
    const email = `${Bun.randomUUIDv7()}@example.test`
    const form = new URLSearchParams({ grant_type: 'password', username: email, password })

    for (const { body } of [
      await call('POST', '/api/auth/register', { body: { email, password } }),
      await call('POST', '/api/auth/login', { body: { email, password } }),
      await call('POST', '/api/oauth/token', {
        body: `${form}`,
        headers: { 'content-type': 'application/x-www-form-urlencoded' },
      }),
    ]) {
      expect(body.refresh_token).toMatch(/^twr_[\w-]{92}$/)
      expect(7 * 86_400 - body.refresh_expires_in).toBeOneOf([0, 1])
      const { sid, sub } = claimsOf(body.access_token)
      expect(tokens.verify(body.refresh_token)).toEqual({
        userId: sub,
        sessionId: sid,
        generation: 0,
      })
    }
  })

  test('gives new tokens of the same session without an Authorization header, by one statement', async () => {
    const here = await service()
    const ada = await signedIn(here)

    let answer: Awaited<ReturnType<typeof ada.refresh>> | undefined
    const sent = await sentBy(async () => {
      answer = await ada.refresh(ada.first)
    })

    expect(answer?.status).toBe(200)
    expect(Object.keys(answer?.body)).toEqual([
      'access_token',
      'token_type',
      'expires_in',
      'refresh_token',
      'refresh_expires_in',
    ])
    expect(answer?.body.expires_in).toBe(86_400)
    expect(claimsOf(answer?.body.access_token)).toMatchObject({
      sub: ada.userId,
      sid: ada.sessionId,
    })
    expect(answer?.next).not.toBe(ada.first)
    expect(sent).toHaveLength(1)
  })

  test('keeps a session alive for weeks after its access tokens expired, and never past its end', async () => {
    const here = await service()
    pass(0)
    const ada = await signedIn(here)
    let newest = ada.first

    for (const _ of [1, 2, 3]) {
      pass(9 * day)
      const { status, body, next } = await ada.refresh(newest)
      expect(status).toBe(200)
      const tasks = await here.call('GET', '/api/tasks', { token: body.access_token })
      expect(tasks.status).toBe(200)
      newest = next
    }
    pass(2.5 * day)
    const last = await ada.refresh(newest)
    expect(last.body.expires_in).toBe(43_200)
    expect(last.body.refresh_expires_in).toBe(43_200)
    pass(0.5 * day)
    expect((await ada.refresh(last.next)).status).toBe(401)
  })

  test('is accepted together with an access token that has expired', async () => {
    const here = await service()
    const ada = await signedIn(here)
    pass(2 * day)

    const answer = await here.call('POST', '/api/auth/refresh', {
      token: ada.token,
      body: { refresh_token: ada.first },
    })

    expect(answer.status).toBe(200)
  })

  test('is accepted by the OAuth 2 form, with the errors of RFC 6749', async () => {
    const here = await service()
    const ada = await signedIn(here)
    const ask = (members: Record<string, string>) =>
      here.call('POST', '/api/oauth/token', {
        body: `${new URLSearchParams({ grant_type: 'refresh_token', ...members })}`,
        headers: { 'content-type': 'application/x-www-form-urlencoded' },
      })

    const good = await ask({ refresh_token: ada.first, client_id: 'x' })
    const missing = await ask({})
    const wrong = await ask({ refresh_token: `${ada.first}x` })

    expect(good.status).toBe(200)
    expect(good.body.refresh_token).toBe(ada.ofGeneration(1))
    expect([missing.status, missing.body.error]).toEqual([400, 'invalid_request'])
    expect([wrong.status, wrong.body.error]).toEqual([400, 'invalid_grant'])
  })

  test('cannot be used as an access token, nor an access token as a refresh token', async () => {
    const here = await service()
    const ada = await signedIn(here)

    expect((await here.call('GET', '/api/tasks', { token: ada.first })).status).toBe(401)
    expect((await ada.refresh(ada.token)).status).toBe(401)
  })

  test('stays valid when the secret is rotated, and not when its secret is removed', async () => {
    const next = 'the next secret that is long enough too'
    const here = await service()
    const rotated = await service({ JWT_SECRET: `${next},${secret}` })
    const without = await service({ JWT_SECRET: next })
    const ada = await signedIn(here)
    const refreshAt = ({ call }: Service, refresh_token: string) =>
      call('POST', '/api/auth/refresh', { body: { refresh_token } })

    expect((await refreshAt(without, ada.first)).status).toBe(401)
    const { status, body } = await refreshAt(rotated, ada.first)
    expect(status).toBe(200)
    expect((await refreshAt(without, body.refresh_token)).status).toBe(200)
  })

  test('of a personal token does not exist, even with a valid signature', async () => {
    const here = await service()
    const ada = await here.someone()
    const { body } = await ada.call('POST', '/api/auth/tokens', { name: 'x', scope: 'tasks:read' })
    const refresh_token = tokens.sign({ userId: ada.id, sessionId: body.id, generation: 0 })

    const answer = await here.call('POST', '/api/auth/refresh', { body: { refresh_token } })

    expect(answer.status).toBe(401)
  })

  test('has a form that later versions of the service must accept', () => {
    const claims = {
      userId: '0199e2b3-6f4a-7c31-9d5e-8a1b2c3d4e5f',
      sessionId: '0199e2b3-6f4a-7c31-9d5e-8a1b2c3d4e60',
      generation: 258,
    }

    expect(tokens.sign(claims)).toBe(
      'twr_AZnis29KfDGdXoobLD1OXwGZ4rNvSnwxnV6KGyw9TmAAAAABAoKxdfJIVjMbhp1ThChjZAwQpIQJ87eOqAWV6xtQmygi',
    )
    expect(
      tokens.verify(
        'twr_AZnis29KfDGdXoobLD1OXwGZ4rNvSnwxnV6KGyw9TmAAAAABAoKxdfJIVjMbhp1ThChjZAwQpIQJ87eOqAWV6xtQmygi',
      ),
    ).toEqual(claims)
  })

  test('needs a secret to be signed with', () => {
    expect(() => createRefreshTokens([])).toThrow('no secret')
  })

  test('is not stored, and not logged', async () => {
    const here = await service()
    const ada = await signedIn(here)
    const { next } = await ada.refresh(ada.first)
    pass(hour)
    await ada.refresh(ada.first)

    const kept = JSON.stringify([await rowsOf(ada.userId), here.log])
    for (const token of [ada.first, next]) {
      const mac = Buffer.from(token.slice(4), 'base64url').subarray(-32)
      for (const text of [token, token.slice(-40), mac.toString('hex'), mac.toString('base64')])
        expect(kept).not.toContain(text)
    }
  })
})

describe('rotation', () => {
  test('returns the same successor for a token until the successor is used', async () => {
    const here = await service()
    const ada = await signedIn(here)
    const { next } = await ada.refresh(ada.first)

    for (const wait of [0, second, 10 * second, hour, 9 * day]) {
      pass(wait)
      const again = await ada.refresh(ada.first)
      expect([wait, again.status, again.next]).toEqual([wait, 200, next])
    }
  })

  test('still does for 60 seconds after the successor was used', async () => {
    const here = await service()
    pass(0)
    const ada = await signedIn(here)
    const { next } = await ada.refresh(ada.first)
    pass(hour)
    await ada.refresh(next)

    pass(59 * second)
    const inTime = await ada.refresh(ada.first)
    expect([inTime.status, inTime.next]).toEqual([200, next])
    // The successor still leads on, so this client loses nothing.
    expect((await ada.refresh(inTime.next)).next).toBe(ada.ofGeneration(2))
    pass(second)
    expect((await ada.refresh(ada.first)).status).toBe(401)
    // Refreshed a minute ago: a slow client is the likely cause.
    expect((await ada.refresh(ada.ofGeneration(2))).status).toBe(200)
  })

  test('ends the session if an older token is used, with one log line and one metric', async () => {
    const here = await service({ METRICS_TOKEN: 'a-token-for-metrics' })
    const ada = await signedIn(here)
    const { next } = await ada.refresh(ada.first)
    const { body, next: newest } = await ada.refresh(next)
    pass(61 * second)

    const reused = await ada.refresh(ada.first)

    expect([reused.status, reused.body.code]).toEqual([401, 'unauthenticated'])
    expect((await ada.refresh(newest)).status).toBe(401)
    expect((await here.call('GET', '/api/tasks', { token: body.access_token })).status).toBe(401)
    expect(here.log.filter(({ event }) => event === 'refresh token reused')).toEqual([
      expect.objectContaining({ level: 'warn', user_id: ada.userId, session_id: ada.sessionId }),
    ])
    const metrics = await here.call('GET', '/metrics', { token: 'a-token-for-metrics' })
    expect(metrics.text).toContain('endings_total{cause="refresh-token-reuse"} 1\n')
  })

  test('does not end a session that was refreshed within the last 60 seconds', async () => {
    const here = await service()
    const ada = await signedIn(here)
    let newest = ada.first
    for (const _ of [1, 2, 3, 4]) newest = (await ada.refresh(newest)).next
    pass(hour)
    newest = (await ada.refresh(newest)).next
    pass(59 * second)

    const before = await ada.stored()
    expect((await ada.refresh(ada.first)).status).toBe(401)
    expect((await ada.refresh(ada.ofGeneration(2))).status).toBe(401)
    expect(await ada.stored()).toEqual(before)
    expect((await ada.refresh(newest)).status).toBe(200)
    expect(here.log.some(({ event }) => event === 'refresh token reused')).toBe(false)
  })

  test('has one successor for 50 concurrent refreshes, and signs no client out', async () => {
    const here = await service()
    const ada = await signedIn(here)

    for (const generation of [0, 1, 2]) {
      const used = ada.ofGeneration(generation)
      const answers = await Promise.all(Array.from({ length: 50 }, () => ada.refresh(used)))
      expect(new Set(answers.map(({ status }) => status))).toEqual(new Set([200]))
      expect(new Set(answers.map(({ next }) => next))).toEqual(
        new Set([ada.ofGeneration(generation + 1)]),
      )
    }
    expect((await ada.stored())?.refresh_generation).toBe(3)
  })

  test('accepts a token that is newer than a database that was restored from a backup', async () => {
    const here = await service()
    const ada = await signedIn(here)
    const { db } = await database()
    let newest = ada.first
    for (const _ of [1, 2, 3, 4, 5]) newest = (await ada.refresh(newest)).next
    await db
      .update(sessions)
      .set({ refresh_generation: 1, rotated_at: null, refreshed_at: null })
      .where(and(eq(sessions.user_id, ada.userId), eq(sessions.id, ada.sessionId)))

    const answer = await ada.refresh(newest)

    expect([answer.status, answer.next]).toEqual([200, ada.ofGeneration(6)])
  })

  test.each<
    [
      how: string,
      end: (here: Service, ada: Awaited<ReturnType<typeof signedIn>>) => Promise<unknown>,
    ]
  >([
    ['sign-out', ({ call }, { token }) => call('POST', '/api/auth/logout', { token })],
    [
      'ending all sessions',
      ({ call }, { token }) => call('DELETE', '/api/auth/sessions', { token }),
    ],
    [
      'ending it by its id',
      ({ call }, { token, sessionId }) =>
        call('DELETE', `/api/auth/sessions/${sessionId}`, { token }),
    ],
    [
      'a password change in another session',
      async ({ call }, { email }) => {
        const { body } = await call('POST', '/api/auth/login', { body: { email, password } })
        return call('PUT', '/api/auth/me/password', {
          token: body.access_token,
          body: { current_password: password, new_password: 'wrong donkey power plant' },
        })
      },
    ],
    [
      'erasing the account',
      ({ call }, { token }) =>
        call('DELETE', '/api/auth/me', { token, body: { current_password: password } }),
    ],
    [
      'disabling the account',
      async (_, { userId }) => operatedAccount((await database()).db, userId).disable(),
    ],
  ])('is refused after %s', async (_, end) => {
    const here = await service()
    const ada = await signedIn(here)
    const { next } = await ada.refresh(ada.first)

    await end(here, ada)

    for (const token of [ada.first, next, ada.ofGeneration(2)])
      expect((await ada.refresh(token)).status).toBe(401)
    expect(await ada.stored()).toBeUndefined()
  })
})

describe('a request for a refresh', () => {
  test('is 401 without a valid token of either kind, whatever its body', async () => {
    const here = await service()
    const ada = await signedIn(here)
    const forged = [
      ada.first.slice(0, -1),
      `${ada.first}A`,
      ada.first.toUpperCase(),
      ada.first.replace('twr_', ''),
      ` ${ada.first}`,
      `${ada.first}=`,
      ada.token,
      '',
      'x'.repeat(1001),
    ].map((refresh_token) => ({ refresh_token }))
    const unreadable = ['', '{', '[]', 'null', '1', '"x"', '<x/>', '{"refresh_token":1}']
    const others = [{}, { x: 1 }, { refreshToken: ada.first }, { refresh_token: null }]

    for (const body of [undefined, ...forged, ...unreadable, ...others]) {
      let answer: Awaited<ReturnType<typeof here.call>> | undefined
      const sent = await sentBy(async () => {
        answer = await here.call('POST', '/api/auth/refresh', { body })
      })
      expect([body, answer?.status, answer?.body.code]).toEqual([body, 401, 'unauthenticated'])
      expect(answer?.body.errors).toBeUndefined()
      expect(sent).toEqual([])
    }
    const text = await here.call('POST', '/api/auth/refresh', {
      body: `refresh_token=${ada.first}`,
      headers: { 'content-type': 'text/plain' },
    })
    expect(text.status).toBe(401)
  })

  test('is 422 with a valid token and an unknown member or parameter', async () => {
    const here = await service()
    const ada = await signedIn(here)
    pass(2 * day)

    const member = await here.call('POST', '/api/auth/refresh', {
      body: { refresh_token: ada.first, user_id: 'x' },
    })
    const parameter = await here.call('POST', '/api/auth/refresh?session=header', {
      body: { refresh_token: ada.first },
    })

    expect([member.status, member.body.errors[0].pointer]).toEqual([422, '/user_id'])
    expect([parameter.status, parameter.body.errors[0].pointer]).toEqual([422, '/session'])
    expect((await ada.stored())?.refresh_generation).toBe(0)
  })

  test('by the access token works as before, and returns no refresh token', async () => {
    const here = await service()
    const ada = await signedIn(here)

    for (const body of [undefined, {}]) {
      const answer = await here.call('POST', '/api/auth/refresh', { token: ada.token, body })
      expect(answer.status).toBe(200)
      expect(Object.keys(answer.body)).toEqual(['access_token', 'token_type', 'expires_in'])
    }
    expect((await ada.refresh(ada.first)).next).toBe(ada.ofGeneration(1))
  })

  test('counts for the user of a valid token, and for the address otherwise', async () => {
    const here = await service({ RATE_LIMIT: '3' })
    const ada = await signedIn(here)
    here.peer.address = '203.0.113.77'
    const remaining = async (refresh_token: string) =>
      (await ada.refresh(refresh_token)).headers.get('ratelimit-remaining')

    expect(await remaining(ada.first)).toBe('2')
    expect(await remaining('x')).toBe('2')
    here.peer.address = '203.0.113.78'
    expect(await remaining(ada.first)).toBe('1')
    expect(await remaining('x')).toBe('2')
    await here.call('POST', '/api/auth/logout', { token: ada.token })
    here.peer.address = '203.0.113.79'
    const { token: other } = await here.someone()
    here.peer.address = '203.0.113.80'
    const forged = await here.call('POST', '/api/auth/refresh', {
      token: other,
      body: { refresh_token: 'x' },
    })
    expect([forged.status, forged.headers.get('ratelimit-remaining')]).toEqual([401, '2'])
    here.peer.address = '203.0.113.78'
    // The session has ended: the count moves from the user to the address.
    expect(await remaining(ada.first)).toBe('1')
  })
})

test('a session of an earlier version continues without a refresh token', async () => {
  const here = await service()
  const ada = await signedIn(here)
  const { db } = await database()
  await db
    .update(sessions)
    .set({ refresh_expires_at: null })
    .where(and(eq(sessions.user_id, ada.userId), eq(sessions.id, ada.sessionId)))

  const refreshed = await here.call('POST', '/api/auth/refresh', { token: ada.token })
  const { access_token: token } = refreshed.body

  expect(refreshed.status).toBe(200)
  expect((await here.call('GET', '/api/tasks', { token })).status).toBe(200)
  expect((await here.call('GET', '/api/auth/sessions', { token })).body.sessions).toHaveLength(2)
  expect((await ada.refresh(ada.first)).status).toBe(401)
})

describe('the session of a refresh token', () => {
  test('is listed while it can be refreshed, and is then deleted by a purge', async () => {
    const here = await service()
    const ada = await signedIn(here)
    pass(29 * day)
    const { body } = await here.call('POST', '/api/auth/login', {
      body: { email: ada.email, password },
    })
    const { access_token: token } = body
    const idsOf = async () => {
      const listed = await here.call('GET', '/api/auth/sessions', { token })
      return listed.body.sessions.map(({ id }: { id: string }) => id)
    }

    await here.purge(30)
    expect(await idsOf()).toContain(ada.sessionId)
    pass(day - hour)
    const ended = await here.call('DELETE', `/api/auth/sessions/${ada.sessionId}`, { token })
    expect(ended.status).toBe(204)
    expect((await ada.refresh(ada.first)).status).toBe(401)
  })

  test('is deleted by a purge after its end', async () => {
    const here = await service()
    const ada = await signedIn(here)
    pass(30 * day)

    await here.purge(30)

    expect(await ada.stored()).toBeUndefined()
  })

  test('shows the user agent of the sign-in, at most 200 code points', async () => {
    const { call } = await service()
    const email = `${Bun.randomUUIDv7()}@example.test`
    const agents = ['Browser/1.0', 'x'.repeat(300), '']
    const { body } = await call('POST', '/api/auth/register', { body: { email, password } })
    for (const agent of agents)
      await call('POST', '/api/auth/login', {
        body: { email, password },
        headers: { 'user-agent': agent },
      })

    const listed = await call('GET', '/api/auth/sessions', { token: body.access_token })

    const shown = listed.body.sessions.map((one: { user_agent: string }) => one.user_agent)
    expect(shown).toEqual([null, 'Browser/1.0', 'x'.repeat(200), null])
  })

  test('keeps the time of its last use, which is stored later by a job and not by the request', async () => {
    const here = await service()
    pass(0)
    const ada = await here.someone()
    const { body: personal } = await ada.call('POST', '/api/auth/tokens', {
      name: 'x',
      scope: 'tasks:read',
    })
    pass(hour)
    const usedAt = new Date().toISOString()
    const sent = await sentBy(async () => {
      await ada.call('GET', '/api/tasks')
      await here.call('GET', '/api/tasks', { token: personal.access_token })
    })
    expect(sent.map(({ statement }) => /\b(update|insert|delete)\b/.test(statement))).toEqual([
      false,
      false,
    ])
    pass(60 * second)

    await here.flushActivity()

    const listed = await ada.call('GET', '/api/auth/sessions')
    const times = listed.body.sessions.map((one: { last_seen_at: string }) => one.last_seen_at)
    expect(times).toEqual([usedAt, usedAt])
    const { tokens } = (await ada.call('GET', '/api/auth/tokens')).body
    expect(tokens[0]).toMatchObject({ created_at: personal.created_at, last_seen_at: usedAt })
  })

  test('has its own time, apart from other sessions of the user', async () => {
    const here = await service()
    pass(0)
    const ada = await here.someone()
    const signedInAt = new Date().toISOString()
    await here.call('POST', '/api/auth/login', { body: { email: ada.email, password } })
    pass(hour)
    await ada.call('GET', '/api/tasks')
    const usedAt = new Date().toISOString()

    await here.flushActivity()

    const { sessions } = await rowsOf(ada.id)
    expect(sessions.map(({ last_seen_at }) => last_seen_at)).toEqual([usedAt, signedInAt])
  })

  test('keeps the later time if two instances store one', async () => {
    const [one, two] = [await service(), await service()]
    pass(0)
    const ada = await one.someone()
    pass(hour)
    await one.call('GET', '/api/tasks', { token: ada.token })
    pass(second)
    await two.call('GET', '/api/tasks', { token: ada.token })
    const latest = new Date().toISOString()

    await two.flushActivity()
    await one.flushActivity()

    expect((await rowsOf(ada.id)).sessions[0]?.last_seen_at).toBe(latest)
  })
})

describe('the job that stores the last use of sessions', () => {
  const use = (at: number) => ({ userId: Bun.randomUUIDv7(), sessionId: `${at}` })
  const activityOn = (respond: () => unknown) => {
    const log: LogFields[] = []
    const db = createStubDb(respond)
    const logger = createLog((line) => log.push(JSON.parse(line)), 'debug')
    return { log, ...createSessionActivity({ db, log: logger }) }
  }

  test('continues after a failure of the database with what was not stored', async () => {
    let sent = 0
    const { record, flush, log } = activityOn(() => {
      sent += 1
      if (sent === 2) throw Object.assign(new Error('gone'), { code: 'CONNECTION_CLOSED' })
      return { rows: [], affectedRows: 1 }
    })
    for (const at of [1, 2, 3]) record(use(at))

    await flush()
    expect(sent).toBe(2)
    expect(log.map(({ event }) => event)).toEqual(['session activity was not stored'])
    await flush()
    expect(sent).toBe(4)
    await flush()
    expect(sent).toBe(4)
  })

  test('stores at most 20 000 sessions at a time, and one statement for each', async () => {
    let sent = 0
    const { record, flush } = activityOn(() => {
      sent += 1
      return { rows: [], affectedRows: 1 }
    })
    for (let at = 0; at < 20_001; at++) record(use(at))
    record(use(0))

    await flush()

    expect(sent).toBe(20_000)
  })
})
