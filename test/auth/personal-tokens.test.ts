import { afterEach, expect, setSystemTime, test } from 'bun:test'
import { protectedRoutes } from '../support/requests.ts'
import { filled, type Service, service } from '../support/service.ts'

afterEach(() => {
  setSystemTime()
})

const createPersonalToken = async (
  here: Service,
  scope: 'tasks:read' | 'tasks:write',
  more: object = {},
) => {
  const ada = await here.someone()
  const body = { name: 'script', scope, ...more }
  const answer = await ada.call('POST', '/api/auth/tokens', body)
  const token: string = answer.body.access_token
  return {
    ada,
    answer,
    token,
    call: (method: string, path: string, body?: unknown) =>
      here.call(method, path, { token, body }),
  }
}
const claimsOf = (token: string) => JSON.parse(atob(token.split('.')[1]!))

test('a token is returned once, with its name, scope and expiry', async () => {
  const { ada, answer, token } = await createPersonalToken(await service(), 'tasks:read')

  const { tokens } = (await ada.call('GET', '/api/auth/tokens')).body

  const { access_token, ...described } = answer.body
  expect(answer.status).toBe(201)
  expect(Object.keys(described)).toEqual([
    'id',
    'name',
    'scope',
    'created_at',
    'expires_at',
    'last_seen_at',
  ])
  expect(answer.headers.get('location')).toBe(`/api/auth/tokens/${described.id}`)
  expect(tokens).toEqual([described])
  expect(Date.parse(described.expires_at) / 1000).toBe(claimsOf(token).exp)
  expect(claimsOf(token)).toMatchObject({ sid: described.id, sub: ada.id, scope: 'tasks:read' })
})

test('a token is valid for 90 days by default and a year at most', async () => {
  const here = await service()
  const days = async (more: object) => {
    const { token } = await createPersonalToken(here, 'tasks:read', more)
    const { exp, iat } = claimsOf(token)
    return Math.round((exp - iat) / 86_400)
  }
  const { ada } = await createPersonalToken(here, 'tasks:read')
  const tooLong = await ada.call('POST', '/api/auth/tokens', {
    ...{ name: 'x', scope: 'tasks:read', expires_in: 31_536_001 },
  })

  expect([await days({}), await days({ expires_in: 31_536_000 })]).toEqual([90, 365])
  expect([tooLong.status, tooLong.body.errors[0].pointer]).toEqual([422, '/expires_in'])
})

test('a token may be valid for more than a day, and refused from the second of its expiry', async () => {
  const { call, answer } = await createPersonalToken(await service(), 'tasks:read', {
    expires_in: 172_800,
  })
  const end = Date.parse(answer.body.expires_at)

  setSystemTime(new Date(end - 1))
  const before = await call('GET', '/api/tasks')
  setSystemTime(new Date(end))
  const after = await call('GET', '/api/tasks')

  expect([before.status, after.status]).toEqual([200, 401])
})

const ofTasks = /^\/api\/(tasks|lists|tags)/

test('a token with the scope tasks:read is 403 on every write', async () => {
  const here = await service()
  const { call } = await createPersonalToken(here, 'tasks:read')

  for (const { name, method, path, body } of protectedRoutes(here.app)) {
    const target = filled(path, Bun.randomUUIDv7())
    const { status, body: problem, headers } = await call(method, target, body)
    const reads = method === 'GET' && (ofTasks.test(path) || path === '/api/auth/me')
    if (reads) {
      const head = await call('HEAD', target)
      expect([name, [200, 404].includes(status), head.status]).toEqual([name, true, status])
    } else {
      expect([name, status, problem.code]).toEqual([name, 403, 'insufficient-scope'])
      expect(headers.get('www-authenticate')).toBe(
        'Bearer realm="taskwarden", error="insufficient_scope"',
      )
    }
  }
})

test('a token with the scope tasks:write reads and writes tasks, and cannot manage the account', async () => {
  const here = await service()
  const { call, ada } = await createPersonalToken(here, 'tasks:write')

  for (const { name, method, path, body } of protectedRoutes(here.app)) {
    const { status } = await call(method, filled(path, Bun.randomUUIDv7()), body)
    const isAllowed = ofTasks.test(path) || name === 'GET /api/auth/me'
    expect([name, status === 403]).toEqual([name, !isAllowed])
  }
  expect((await ada.call('GET', '/api/auth/me')).status).toBe(200)
})

test('403 for the scope comes before the body, and after the session', async () => {
  const here = await service()
  const { ada, call, answer } = await createPersonalToken(here, 'tasks:read')

  const live = await call('POST', '/api/tasks', '{"unreadable')
  await ada.call('DELETE', `/api/auth/tokens/${answer.body.id}`)
  const ended = await call('POST', '/api/tasks', { title: 'x' })

  expect([live.status, ended.status]).toEqual([403, 401])
})

test('a token is a session of kind personal, and ends in each of five ways', async () => {
  const here = await service()
  const ways = {
    'DELETE its own route': ({ ada, answer }: Awaited<ReturnType<typeof createPersonalToken>>) =>
      ada.call('DELETE', `/api/auth/tokens/${answer.body.id}`),
    'DELETE the session': ({ ada, answer }: Awaited<ReturnType<typeof createPersonalToken>>) =>
      ada.call('DELETE', `/api/auth/sessions/${answer.body.id}`),
    'DELETE all sessions': ({ ada }: Awaited<ReturnType<typeof createPersonalToken>>) =>
      ada.call('DELETE', '/api/auth/sessions'),
    'change the password': ({ ada }: Awaited<ReturnType<typeof createPersonalToken>>) =>
      ada.call('PUT', '/api/auth/me/password', {
        current_password: ada.password,
        new_password: 'another horse battery',
      }),
    'erase the account': ({ ada }: Awaited<ReturnType<typeof createPersonalToken>>) =>
      ada.call('DELETE', '/api/auth/me', { current_password: ada.password }),
  }

  for (const [way, end] of Object.entries(ways)) {
    const one = await createPersonalToken(here, 'tasks:write')
    const { body } = await one.ada.call('GET', '/api/auth/sessions')
    const kinds = body.sessions.map(({ kind, name, scope }: Record<string, string>) => [
      ...[kind, name, scope],
    ])
    const before = await one.call('GET', '/api/tasks')
    const ended = await end(one)
    const after = await one.call('GET', '/api/tasks')

    expect(kinds).toContainEqual(['personal', 'script', 'tasks:read tasks:write'])
    expect([way, before.status, ended.status, after.status]).toEqual([way, 200, 204, 401])
  }
})

test('DELETE of a token is 404 for a sign-in session and for an ended token', async () => {
  const here = await service()
  const { ada, answer } = await createPersonalToken(here, 'tasks:read')
  const { body } = await ada.call('GET', '/api/auth/sessions')
  const signIn = body.sessions.find(({ kind }: { kind: string }) => kind === 'sign-in').id

  const wrongKind = await ada.call('DELETE', `/api/auth/tokens/${signIn}`)
  const first = await ada.call('DELETE', `/api/auth/tokens/${answer.body.id}`)
  const second = await ada.call('DELETE', `/api/auth/tokens/${answer.body.id}`)

  expect([wrongKind.status, first.status, second.status]).toEqual([404, 204, 404])
  expect(wrongKind.body.code).toBe('token-not-found')
})

test('an expired token is not listed and cannot be ended', async () => {
  const { ada, answer } = await createPersonalToken(await service(), 'tasks:read', {
    expires_in: 3600,
  })
  const { id, expires_at } = answer.body
  const idsNow = async () =>
    (await ada.call('GET', '/api/auth/tokens')).body.tokens.map((one: { id: string }) => one.id)

  setSystemTime(new Date(Date.parse(expires_at) - 1))
  const before = await idsNow()
  setSystemTime(new Date(expires_at))
  const after = await idsNow()
  const ended = await ada.call('DELETE', `/api/auth/tokens/${id}`)

  expect([before, after]).toEqual([[id], []])
  expect([ended.status, ended.body.code]).toEqual([404, 'token-not-found'])
})

test('all tokens of a user share one rate limit', async () => {
  const here = await service({ RATE_LIMIT: '5' })
  const { ada, call } = await createPersonalToken(here, 'tasks:read')

  const left = [
    await ada.call('GET', '/api/tasks'),
    await call('GET', '/api/tasks'),
    await ada.call('GET', '/api/tasks'),
  ].map(({ headers }) => headers.get('ratelimit-remaining'))

  expect(left).toEqual(['3', '2', '1'])
})

test('a name and a known scope are required, and other members are refused', async () => {
  const { someone } = await service()
  const ada = await someone()
  const wrong: [unknown, string][] = [
    [{ scope: 'tasks:read' }, '/name'],
    [{ name: '', scope: 'tasks:read' }, '/name'],
    [{ name: 'x' }, '/scope'],
    [{ name: 'x', scope: 'account' }, '/scope'],
    [{ name: 'x', scope: 'tasks:read', expires_in: 0 }, '/expires_in'],
    [{ name: 'x', scope: 'tasks:read', expires_in: '60' }, '/expires_in'],
    [{ name: 'x', scope: 'tasks:read', user_id: ada.id }, '/user_id'],
  ]

  for (const [body, pointer] of wrong) {
    const answer = await ada.call('POST', '/api/auth/tokens', body)
    expect([answer.status, answer.body.errors[0].pointer]).toEqual([422, pointer])
  }
})
