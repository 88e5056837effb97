import { describe, expect, test } from 'bun:test'
import { isPublic, protectedRoutes, publicRoutes } from '../support/requests.ts'
import { type Answer, filled, sentBy, service } from '../support/service.ts'

const problemOf = ({ status, body }: Answer) => `${status} ${body?.code}`

describe('unauthenticated requests', () => {
  test('exactly the listed routes are public', async () => {
    const { app } = await service({ METRICS_TOKEN: 'with-every-route' })
    const open = app.routes
      .filter(({ hooks }) => hooks.detail?.security?.length === 0)
      .map(({ method, path }) => `${method} ${path}`)

    expect(open.filter((name) => !isPublic(name))).toEqual([])
    expect([...publicRoutes].filter((name) => !open.includes(name))).toEqual([])
  })

  test('every other route is 401 without a token, with any body, and sends no statement', async () => {
    const { app, call } = await service()
    const routes = protectedRoutes(app)
    expect(routes.length).toBeGreaterThan(10)

    for (const { name, method, path } of routes) {
      const bodies = method === 'GET' ? [{}] : [{}, { body: '{', headers: json }, { body: '<x/>' }]
      for (const sent of bodies) {
        const answers: Answer[] = []
        const statements = await sentBy(async () =>
          answers.push(await call(method, filled(path), sent)),
        )

        expect([name, ...answers.map(problemOf)]).toEqual([name, '401 unauthenticated'])
        expect(answers[0]?.headers.get('www-authenticate')).toBe('Bearer realm="taskwarden"')
        expect(statements).toEqual([])
      }
    }
  })

  test('the challenge has an error if and only if a token was sent', async () => {
    const { call } = await service()
    const challenge = async (headers: Record<string, string>) =>
      (await call('GET', '/api/tasks', { headers })).headers.get('www-authenticate')

    expect(await challenge({})).toBe('Bearer realm="taskwarden"')
    for (const authorization of ['Bearer x', 'Basic eDp5', 'x'])
      expect(await challenge({ authorization })).toBe(
        'Bearer realm="taskwarden", error="invalid_token"',
      )
  })

  test('the body of an unauthenticated request is never read', async () => {
    const { app } = await service()
    let pulled = 0
    const endless = () =>
      new ReadableStream({
        pull: (controller) => {
          pulled += 1
          controller.enqueue(new Uint8Array(1024))
        },
      })

    for (const [method, path] of [
      ['POST', '/api/tasks'],
      ['PUT', '/api/auth/me/password'],
      ['POST', '/api/nothing'],
      ['PUT', '/api/tasks'],
    ] as const) {
      const before = pulled
      const request = new Request(`http://localhost${path}`, { method, body: endless() })
      const { status } = await app.fetch(request)
      expect(status).toBeOneOf([401, 404, 405])
      // The stream itself pulls once, to fill its queue.
      expect(pulled - before).toBeLessThanOrEqual(1)
    }
  })

  test('reach public routes, which validate the body', async () => {
    const { call } = await service()
    const login = async (body: string, type = 'application/json') =>
      problemOf(await call('POST', '/api/auth/login', { body, headers: { 'content-type': type } }))

    expect(await login('{}')).toBe('422 invalid-request')
    expect(await login('{')).toBe('400 malformed-request')
    expect(await login('{}', 'text/plain')).toBe('415 unsupported-media-type')
  })

  test('a token in the query, the body or a cookie is ignored', async () => {
    const { call, someone } = await service()
    const { token } = await someone()
    const places = [
      { path: `/api/tasks?access_token=${token}`, headers: {} },
      { path: '/api/tasks', headers: { cookie: `access_token=${token}` } },
      { path: '/api/tasks', headers: { 'x-access-token': token, 'proxy-authorization': token } },
    ]

    for (const { path, headers } of places)
      expect((await call('GET', path, { headers })).status).toBe(401)
    const form = { 'content-type': 'application/x-www-form-urlencoded' }
    const posted = await call('POST', '/api/tasks', {
      body: `access_token=${token}`,
      headers: form,
    })
    expect(posted.status).toBe(401)
  })
})

const json = { 'content-type': 'application/json' }

describe('routes', () => {
  test.each([
    ['/api/tasks', 'GET, POST, HEAD, OPTIONS'],
    ['/api/auth/me', 'GET, PATCH, DELETE, HEAD, OPTIONS'],
    ['/api/auth/me/password', 'PUT, OPTIONS'],
    ['/api/auth/sessions', 'GET, DELETE, HEAD, OPTIONS'],
    ['/api/auth/login', 'POST, OPTIONS'],
    ['/health', 'GET, HEAD, OPTIONS'],
  ])(
    '%s answers OPTIONS with 204 and its methods, and 405 to any other method',
    async (path, allow) => {
      const { call } = await service()
      const methods = ['GET', 'HEAD', 'POST', 'PUT', 'PATCH', 'DELETE', 'PROPFIND', 'get', 'LOCK']
      const sorted = (text: string | null) => text?.split(', ').sort()

      const options = await call('OPTIONS', path)
      expect([options.status, options.text]).toEqual([204, ''])
      expect(sorted(options.headers.get('allow'))).toEqual(sorted(allow))

      const wrong = methods.filter((method) => !allow.split(', ').includes(method.toUpperCase()))
      expect(wrong.length).toBeGreaterThan(2)
      for (const method of wrong) {
        const answer = await call(method, path)
        expect(`${method} ${answer.status}`).toBe(`${method} 405`)
        expect(sorted(answer.headers.get('allow'))).toEqual(sorted(allow))
        if (method !== 'HEAD') expect(answer.body.code).toBe('method-not-allowed')
      }
    },
  )

  test('every path responds to OPTIONS, and is 405 for a method that it does not have', async () => {
    const { app, call } = await service()
    const paths = Map.groupBy(app.routes, ({ path }) => path)

    for (const [path, routes] of paths) {
      const has = (method: string) => routes.some((route) => route.method === method)
      const methods = [
        ...routes.map(({ method }) => method),
        ...(has('GET') ? ['HEAD'] : []),
        'OPTIONS',
      ]
      const options = await call('OPTIONS', filled(path))
      expect([path, options.status]).toEqual([path, 204])
      expect(options.headers.get('allow')?.split(', ').sort()).toEqual(methods.sort())
      expect((await call('PROPFIND', filled(path))).status).toBe(405)
    }
  })

  test('HEAD has the status and headers of GET, without a body', async () => {
    const { someone } = await service()
    const ada = await someone()
    const { body } = await ada.call('POST', '/api/tasks', { title: 'x' })

    for (const path of ['/api/tasks', `/api/tasks/${body.id}`, '/api/auth/me', '/health']) {
      const got = await ada.call('GET', path)
      const head = await ada.call('HEAD', path)
      expect([head.status, head.text]).toEqual([200, ''])
      for (const name of ['content-type', 'etag', 'cache-control', 'x-content-type-options'])
        expect(head.headers.get(name)).toBe(got.headers.get(name))
    }
    expect((await ada.call('HEAD', `/api/tasks/${Bun.randomUUIDv7()}`)).status).toBe(404)
  })

  test.each([
    '//',
    '/api',
    '/api/',
    '/api/tasks/',
    '/api/tasks//complete',
    '/api//tasks',
    '//api/tasks',
    '/API/tasks',
    '/api/tasks/x/complete/',
    '/api/tasks/x/y',
    '/api/auth',
    '/api/auth/me/',
    '/health/',
    '/api/%74asks',
    '/api/tasks;x=1',
    '/.env',
    '/api/tasks/x/__proto__',
    '/constructor',
    '/toString',
  ])('%s is 404 with every method, with and without a token', async (path) => {
    const { call, someone } = await service()
    const { token } = await someone()

    for (const method of ['GET', 'POST', 'DELETE', 'OPTIONS'])
      for (const who of [undefined, token])
        expect(problemOf(await call(method, path, { token: who }))).toBe('404 not-found')
  })
})

describe('headers', () => {
  test('a valid X-Request-Id is kept', async () => {
    const { call } = await service()

    for (const id of ['a', 'A-b_c.9', 'x'.repeat(128)]) {
      const { headers, body } = await call('GET', '/api/tasks', { headers: { 'x-request-id': id } })
      expect([headers.get('x-request-id'), body.request_id]).toEqual([id, id])
    }
  })

  test.each([
    '',
    ' ',
    'a b',
    'x'.repeat(129),
    'a"b',
    '<script>',
    'é',
    'a,b',
    '../x',
    'a/b',
    '{}',
    'a%0d%0ab',
  ])('an X-Request-Id of %j is replaced', async (id) => {
    const { call, log } = await service()

    const { headers, body } = await call('GET', '/api/tasks', { headers: { 'x-request-id': id } })

    expect(headers.get('x-request-id')).toMatch(/^[0-9a-f-]{36}$/)
    expect(body.request_id).toBe(headers.get('x-request-id'))
    if (id.trim() !== '') expect(JSON.stringify(log)).not.toContain(JSON.stringify(id))
  })

  test('every kind of response has X-Request-Id, nosniff and Cache-Control, and no version', async () => {
    const { call, someone } = await service()
    const ada = await someone()
    const answers = {
      'no-store': [
        await call('GET', '/health'),
        await call('GET', '/ready'),
        await call('GET', '/problems'),
        await call('GET', '/nothing'),
        await call('OPTIONS', '/api/auth/me'),
        await call('GET', '/api/auth/me'),
        await call('PUT', '/api/auth/me'),
        await ada.call('GET', '/api/auth/me'),
        await ada.call('PATCH', '/api/auth/me', {}),
        await ada.call('POST', '/api/auth/refresh'),
        await call('POST', '/api/auth/login', { body: { email: 'x', password: 'y' } }),
      ],
      'private, no-cache': [
        await call('GET', '/api/tasks'),
        await ada.call('GET', '/api/tasks'),
        await ada.call('POST', '/api/tasks', { title: 'x' }),
        await ada.call('POST', '/api/tasks', { title: '' }),
        await ada.call('PUT', '/api/tasks'),
        await ada.call('GET', '/api/tasks/x'),
        await ada.call('POST', '/api/tasks', { title: 'x'.repeat(70_000) }),
      ],
    }

    for (const [cacheControl, list] of Object.entries(answers))
      for (const { headers } of list) {
        expect(headers.get('x-request-id')).toMatch(/^[0-9a-f-]{36}$/)
        expect(headers.get('x-content-type-options')).toBe('nosniff')
        expect(headers.get('cache-control')).toBe(cacheControl)
        expect(
          [...headers.keys()].filter((name) => /^(server|x-powered-by|via)$/.test(name)),
        ).toEqual([])
      }
  })
})

describe('the order of checks', () => {
  const huge = { body: 'x'.repeat(70_000), headers: { 'content-type': 'text/xml' } }

  test('404 comes before 413', async () => {
    const { call } = await service()

    expect(problemOf(await call('POST', '/api/nothing', huge))).toBe('404 not-found')
    expect(problemOf(await call('PUT', '/api/tasks', huge))).toBe('405 method-not-allowed')
  })

  test('413 comes before 401', async () => {
    const { call } = await service()
    const headers = { ...huge.headers, 'content-length': '70000' }

    const answer = await call('POST', '/api/tasks', { ...huge, headers })
    expect(problemOf(answer)).toBe('413 body-too-large')
  })

  test('401 for the token comes before 429, and 429 before 401 for the session', async () => {
    const { call, someone } = await service({ RATE_LIMIT: '5' })
    const ada = await someone()
    await ada.call('POST', '/api/auth/logout')
    const statusOf = async (token?: string) => (await call('GET', '/api/tasks', { token })).status

    // One for the sign-up, three for these, one for the ended session; then the limit is reached.
    for (const token of ['x', undefined, ada.token, 'y']) expect(await statusOf(token)).toBe(401)
    expect(await statusOf()).toBe(429)
    expect(await statusOf('x')).toBe(429)
  })

  test('over the limit, no statement checks the session', async () => {
    const { someone } = await service({ RATE_LIMIT: '2' })
    const ada = await someone()
    for (const _ of [1, 2]) await ada.call('GET', '/api/tasks')

    const answers: Answer[] = []
    const statements = await sentBy(async () => {
      answers.push(await ada.call('GET', '/api/tasks'))
      answers.push(await ada.call('POST', '/api/tasks', '{', json))
      answers.push(await ada.call('POST', '/api/tasks', { title: '' }))
    })

    expect(answers.map(problemOf)).toEqual(Array(3).fill('429 rate-limited'))
    expect(statements).toEqual([])
  })

  test('401 for an ended session comes before errors of body, query or id', async () => {
    const { app, call, someone } = await service()
    const ada = await someone()
    await ada.call('POST', '/api/auth/logout')
    const wrong = [
      { body: '{', headers: json },
      { body: '<x/>', headers: { 'content-type': 'text/xml' } },
      { body: new Uint8Array([0xff]), headers: json },
      { body: { user_id: ada.id } },
      { body: [] },
    ]

    for (const { name, method, path, body } of protectedRoutes(app)) {
      const sent = [{ body }, ...(method === 'GET' ? [] : wrong)]
      for (const one of sent) {
        const answer = await call(method, filled(path), { ...one, token: ada.token })
        expect([name, problemOf(answer)]).toEqual([name, '401 unauthenticated'])
        expect(answer.headers.get('www-authenticate')).toContain('error="invalid_token"')
      }
      const query = await call(method, `${filled(path)}?user_id=1`, { body, token: ada.token })
      expect([name, problemOf(query)]).toEqual([name, '401 unauthenticated'])
    }
    expect((await call('GET', '/api/tasks?cursor=x', { token: ada.token })).status).toBe(401)
  })

  test('400 and 415 come before 422, and 422 before 404', async () => {
    const { someone } = await service()
    const ada = await someone()
    const path = `/api/tasks/${Bun.randomUUIDv7()}`
    const put = (body: unknown, type = 'application/json') =>
      ada.call('PUT', path, body, { 'content-type': type })

    expect(problemOf(await put('{', 'text/plain'))).toBe('415 unsupported-media-type')
    expect(problemOf(await put('{'))).toBe('400 malformed-request')
    expect(problemOf(await put({ title: '' }))).toBe('422 invalid-request')
    expect(problemOf(await put({ title: 'x', completed: true }))).toBe('404 task-not-found')
  })
})

test('before the migrations are applied, routes that need the database are 503, and the others respond', async () => {
  let isUp = true
  const { call, someone } = await service({}, { isUp: () => isUp })
  const { token, email, password } = await someone()
  const login = { body: { email, password } }
  const task = { token, body: { title: 'x' } }

  isUp = false
  const refused = [
    await call('GET', '/api/tasks', { token }),
    await call('POST', '/api/tasks', task),
    await call('POST', '/api/auth/login', login),
  ]
  const sent = await sentBy(async () => {
    for (const path of ['/health', '/ready', '/problems', '/docs/json'])
      expect([path, (await call('GET', path)).status]).toEqual([path, 200])
  })
  const unauthenticated = await call('GET', '/api/tasks')

  for (const { status, body, headers } of refused)
    expect([status, body.code, headers.get('retry-after')]).toEqual([503, 'unavailable', '1'])
  expect(sent).toEqual([])
  expect(unauthenticated.status).toBe(401)
  isUp = true
  expect((await call('GET', '/api/tasks', { token })).body.tasks).toEqual([])
})
