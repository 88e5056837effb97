import { describe, expect, test } from 'bun:test'
import { problemCatalogue } from '../../src/http/problem-catalogue.ts'
import { protectedRoutes } from '../support/requests.ts'
import { type Answer, filled, type Service, service } from '../support/service.ts'

const json = { 'content-type': 'application/json' }
const password = 'correct horse battery'

type Given = { here: Service; token: string; email: string }
type Ask = (given: Given) => Promise<Answer>

/** One request for each problem of the catalogue that a client can cause. */
const ways: Record<string, [setting: Record<string, string>, ask: Ask]> = {
  'malformed-request': [
    {},
    ({ here, token }) => here.call('POST', '/api/tasks', { token, body: '{', headers: json }),
  ],
  unauthenticated: [{}, ({ here }) => here.call('GET', '/api/tasks')],
  'invalid-credentials': [
    {},
    ({ here, email }) => here.call('POST', '/api/auth/login', { body: { email, password: 'x' } }),
  ],
  'registration-closed': [
    { REGISTRATION: 'closed' },
    ({ here }) => here.call('POST', '/api/auth/register', { body: { email: 'a@b', password } }),
  ],
  'wrong-password': [
    {},
    ({ here, token }) =>
      here.call('DELETE', '/api/auth/me', { token, body: { current_password: 'x' } }),
  ],
  'not-found': [{}, ({ here }) => here.call('GET', '/nothing')],
  'task-not-found': [{}, ({ here, token }) => here.call('GET', '/api/tasks/x', { token })],
  'session-not-found': [
    {},
    ({ here, token }) => here.call('DELETE', '/api/auth/sessions/x', { token }),
  ],
  'method-not-allowed': [{}, ({ here }) => here.call('PUT', '/api/tasks')],
  'email-taken': [
    {},
    ({ here, email }) => here.call('POST', '/api/auth/register', { body: { email, password } }),
  ],
  'body-too-large': [
    {},
    ({ here }) => here.call('POST', '/api/auth/login', { body: 'x'.repeat(70_000), headers: json }),
  ],
  'unsupported-media-type': [
    {},
    ({ here }) =>
      here.call('POST', '/api/auth/login', { body: 'x', headers: { 'content-type': 'x/y' } }),
  ],
  'invalid-request': [
    {},
    ({ here, token }) => here.call('POST', '/api/tasks', { token, body: {} }),
  ],
  'weak-password': [
    {},
    ({ here }) =>
      here.call('POST', '/api/auth/register', { body: { email: 'a@b', password: 'password' } }),
  ],
  'rate-limited': [
    { RATE_LIMIT: '1' },
    async ({ here }) => {
      await here.call('GET', '/nothing')
      return here.call('GET', '/nothing')
    },
  ],
  'too-many-attempts': [
    { LOGIN_ATTEMPTS: '1' },
    async ({ here, email }) => {
      await here.call('POST', '/api/auth/login', { body: { email, password: 'x' } })
      return here.call('POST', '/api/auth/login', { body: { email, password: 'x' } })
    },
  ],
}

const inHeader = ['unsupported-media-type']

test.each(Object.entries(ways))(
  '%s is a problem of exactly the members of RFC 9457',
  async (code, [settings, ask]) => {
    const { email, token } = await (await service()).someone()
    const here = await service(settings)

    const { status, headers, body } = await ask({ here, email, token })

    const { status: expected, title } = problemCatalogue[code as keyof typeof problemCatalogue]
    const withErrors = [
      'invalid-request',
      'weak-password',
      'malformed-request',
      'unsupported-media-type',
    ]
    const hasErrors = withErrors.includes(code)
    expect(status).toBe(expected)
    expect(headers.get('content-type')).toBe('application/problem+json')
    expect(body).toEqual({
      type: `/problems/${code}`,
      title,
      status: expected,
      code,
      request_id: headers.get('x-request-id'),
      ...(hasErrors && {
        errors: [
          {
            in: inHeader.includes(code) ? 'header' : 'body',
            pointer: expect.any(String),
            detail: expect.any(String),
          },
        ],
      }),
    })
    expect(headers.has('retry-after')).toBe(expected === 429)
    expect(headers.has('www-authenticate')).toBe(expected === 401)
    expect(headers.has('allow')).toBe(expected === 405)
  },
)

test('each problem of the catalogue has a page and a test that causes it', async () => {
  const { call } = await service()
  const { status, body } = await call('GET', '/problems')
  expect(status).toBe(200)
  expect(body.problems.map(({ code }: { code: string }) => code)).toEqual(
    Object.keys(problemCatalogue),
  )

  for (const page of body.problems) {
    expect(page.type).toBe(`/problems/${page.code}`)
    expect((await call('GET', page.type)).body).toEqual(page)
  }
  expect((await call('GET', '/problems/nothing')).status).toBe(404)
  // Problems of single routes have tests of their own.
  const here = new Set([...Object.keys(ways), 'internal', 'unavailable'])
  expect([...here].filter((code) => !(code in problemCatalogue))).toEqual([])
})

test('all faults of a request are reported together, each once', async () => {
  const { someone } = await service()
  const ada = await someone()

  const { body } = await ada.call('POST', '/api/tasks', {
    title: '',
    priority: 'x',
    due_at: 'x',
    tags: [1, ''],
    unknown: 1,
  })

  const pointers = body.errors.map(({ pointer }: { pointer: string }) => pointer)
  expect(pointers.toSorted()).toEqual([
    '/due_at',
    '/priority',
    '/tags/0',
    '/tags/1',
    '/title',
    '/unknown',
  ])
})

describe('a database error', () => {
  const canary = 'canary-4711'
  const secret = {
    message: `duplicate key (${canary}) in "insert into tasks values ('${canary}')"`,
  }
  const faults: [string, Error, number, string][] = [
    [
      'with a bug of ours',
      Object.assign(new Error(secret.message), { code: '42601', detail: canary }),
      500,
      'internal',
    ],
    ['with no code', new TypeError(canary), 500, 'internal'],
    [
      'because it is gone',
      Object.assign(new Error(secret.message), { code: 'ECONNREFUSED' }),
      503,
      'unavailable',
    ],
    [
      'because it is shutting down',
      Object.assign(new Error(canary), { code: '57P01' }),
      503,
      'unavailable',
    ],
    ['because it is full', Object.assign(new Error(canary), { code: '53100' }), 503, 'unavailable'],
    ['by a deadlock', Object.assign(new Error(canary), { code: '40P01' }), 503, 'unavailable'],
    [
      'by a statement that was cancelled',
      Object.assign(new Error(canary), { code: '57014' }),
      503,
      'unavailable',
    ],
  ]

  test.each(faults)(
    '%s says nothing of it in answers, and only class and code in the log',
    async (_, error, status, code) => {
      const { token, password } = await (await service()).someone()
      const here = await service(
        {},
        {
          db: () => {
            throw error
          },
        },
      )
      const marked = { title: canary, description: canary }

      const answers: Answer[] = []
      for (const { method, path, body } of protectedRoutes(here.app))
        answers.push(await here.call(method, filled(path), { token, body }))
      answers.push(await here.call('POST', '/api/tasks', { token, body: marked }))
      answers.push(await here.call('POST', '/api/tasks', { token, body: '{', headers: json }))
      for (const path of ['/api/auth/login', '/api/auth/register'])
        answers.push(await here.call('POST', path, { body: { email: `${canary}@x`, password } }))

      for (const answer of answers) {
        const { request_id, ...said } = answer.body
        expect(said).toEqual({
          type: `/problems/${code}`,
          title: problemCatalogue[code as 'internal'].title,
          status,
          code,
        })
        expect(request_id).toBe(answer.headers.get('x-request-id'))
        expect(answer.headers.has('retry-after')).toBe(status === 503)
        expect(answer.headers.get('ratelimit-remaining')).toMatch(/^\d+$/)
      }
      const log = JSON.stringify(here.log)
      for (const hidden of [canary, 'insert into', 'select ', token, password])
        expect(log).not.toContain(hidden)
      if (status === 500) {
        const failed = here.log.filter(({ event }) => event === 'request failed')
        expect(failed).toHaveLength(answers.length)
        for (const { request_id, error: name, level } of failed) {
          expect(answers.map(({ body }) => body.request_id)).toContain(request_id)
          expect(name).toBeString()
          expect(level).toBe('error')
        }
      }
    },
  )

  test('a row that does not match the response schema is 500', async () => {
    const { token } = await (await service()).someone()
    const here = await service(
      {},
      { db: async () => ({ rows: [['an id', 'an e-mail', 7, '2026-05-01 00:00:00+00']] }) },
    )

    const { status, body } = await here.call('GET', '/api/auth/me', { token })

    expect([status, body.code, body.errors]).toEqual([500, 'internal', undefined])
  })

  test('does not affect requests that are refused before a statement', async () => {
    const here = await service(
      {},
      {
        db: () => {
          throw new Error('gone')
        },
      },
    )

    expect((await here.call('GET', '/health')).status).toBe(200)
    expect((await here.call('GET', '/api/tasks')).status).toBe(401)
    expect((await here.call('GET', '/nothing')).status).toBe(404)
    expect((await here.call('GET', '/problems')).status).toBe(200)
  })
})

describe('the log', () => {
  test('has one line per request, with the pattern of the route and never the path or the query', async () => {
    const { call, someone, log } = await service()
    const ada = await someone()

    const answers = [
      await ada.call('GET', '/api/tasks?limit=7'),
      await ada.call('GET', '/api/tasks/canary-path'),
      await call('GET', '/canary-path?canary=query'),
      await call('GET', '/api/tasks', { token: 'canary-token' }),
      await call('OPTIONS', '/api/tasks'),
      await ada.call('POST', '/api/tasks', '{', json),
      await call('GET', '/health'),
    ]
    await new Promise(setImmediate)

    const ids = answers.map(({ headers }) => headers.get('x-request-id'))
    const lines = log.filter(({ request_id }) => ids.includes(String(request_id)))
    expect(
      lines.map(({ method, route, status, user_id }) => [method, route, status, user_id]),
    ).toEqual([
      ['GET', '/api/tasks', 200, ada.id],
      ['GET', '/api/tasks/:id', 404, ada.id],
      ['GET', undefined, 404, undefined],
      ['GET', '/api/tasks', 401, undefined],
      ['OPTIONS', '/api/tasks', 204, undefined],
      ['POST', '/api/tasks', 400, ada.id],
      ['GET', '/health', 200, undefined],
    ])
    expect(lines.map(({ request_id }) => request_id)).toEqual(ids)
    for (const { time, level, ms } of lines) {
      expect(time).toMatch(/^\d{4}-\d\d-\d\dT[\d:.]+Z$/)
      expect([level, typeof ms]).toEqual(['info', 'number'])
    }
    expect(JSON.stringify(log)).not.toMatch(/canary|limit=7/)
  })

  test('has one line per security event, with the user', async () => {
    const { call, someone, log } = await service({ LOGIN_ATTEMPTS: '4' })
    const ada = await someone()
    const login = (text: string) =>
      call('POST', '/api/auth/login', { body: { email: ada.email, password: text } })

    await login(password)
    const failed = await login('wrong')
    await ada.call('DELETE', '/api/auth/me', { current_password: 'wrong' })
    await ada.call('PUT', '/api/auth/me/password', {
      current_password: password,
      new_password: 'wrong donkey power plant',
    })
    const { body } = await login('wrong donkey power plant')
    await call('POST', '/api/auth/logout', { token: body.access_token })
    const moved = {
      email: `${Bun.randomUUIDv7()}@example.test`,
      current_password: 'wrong donkey power plant',
    }
    await ada.call('PATCH', '/api/auth/me', moved)
    await ada.call('POST', '/api/auth/tokens', { name: 'x', scope: 'tasks:read' })
    await ada.call('DELETE', '/api/auth/sessions')

    const events = log.filter(({ event }) => event !== 'request')
    expect(events.map(({ level, event, user_id }) => [level, event, user_id])).toEqual([
      ['info', 'signed up', ada.id],
      ['info', 'signed in', ada.id],
      ['warn', 'sign-in failed', ada.id],
      ['warn', 'wrong current password', ada.id],
      ['info', 'password changed', ada.id],
      ['info', 'signed in', ada.id],
      ['info', 'signed out', ada.id],
      ['info', 'e-mail changed', ada.id],
      ['info', 'token made', ada.id],
      ['info', 'all sessions ended', ada.id],
    ])
    const requests = () =>
      log.filter(({ event }) => event === 'request').map((line) => line.request_id)
    // The line of a request is written after its response.
    while (requests().length < events.length) await Bun.sleep(0)
    for (const { request_id } of events) expect(requests()).toContain(request_id)
    const { request_id } = events.find(({ event }) => event === 'sign-in failed') ?? {}
    expect(request_id).toBe(failed.headers.get('x-request-id'))
    expect(JSON.stringify(log)).not.toMatch(/correct horse|wrong donkey|\$2b\$|eyJ/)
  })

  test('reports a reached limit once per window, with the user and without an address', async () => {
    const { call, someone, log } = await service({
      RATE_LIMIT: '4',
      LOGIN_ATTEMPTS: '2',
      LOGIN_ATTEMPTS_PER_ACCOUNT: '3',
    })
    const ada = await someone()
    const wrong = { body: { email: ada.email, password: 'wrong' } }

    for (let count = 0; count < 7; count++) await ada.call('GET', '/api/tasks')
    for (let count = 0; count < 3; count++) await call('POST', '/api/auth/login', wrong)
    for (let count = 0; count < 3; count++) await call('GET', '/api/tasks')

    const limits = log.filter(({ event }) => event === 'limit reached')
    expect(limits.map(({ level, budget, user_id }) => [level, budget, user_id])).toEqual([
      ['warn', 'api', ada.id],
      ['warn', 'sign-in-here', undefined],
      ['warn', 'address', undefined],
    ])
    expect(JSON.stringify(log)).not.toContain('203.0.113')
  })
})
