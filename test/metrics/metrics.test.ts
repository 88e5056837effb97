import { describe, expect, test } from 'bun:test'
import { availableParallelism } from 'node:os'
import { register } from 'prom-client'
import { DatabaseUnavailable } from '../../src/db/errors.ts'
import { createServer } from '../../src/http/server.ts'
import { createLog } from '../../src/log.ts'
import { watchEventLoopLag } from '../../src/metrics/event-loop-lag.ts'
import { createMemoryStore } from '../../src/rate-limit/memory.ts'
import { RateLimitStoreUnavailable } from '../../src/rate-limit/store.ts'
import { holdPasswordHashing } from '../support/hashing.ts'
import { parseMetrics, scrape, token, withMetrics } from '../support/scrape.ts'
import { comparable, database, filled, service } from '../support/service.ts'

const password = 'correct horse battery'

describe('access', () => {
  test('without METRICS_TOKEN the route does not exist', async () => {
    const { call } = await service()

    const answers = [
      await call('GET', '/metrics'),
      await call('GET', '/metrics', { token: '' }),
      await call('OPTIONS', '/metrics'),
    ]
    const nowhere = await call('GET', '/nowhere')

    for (const answer of answers) expect(comparable(answer)).toEqual(comparable(nowhere))
    expect(answers[0]?.headers.get('ratelimit')).toBeString()
  })

  test('requires the token', async () => {
    const here = await service(withMetrics)
    const ada = await here.someone()
    const sent = [
      undefined,
      '',
      'Bearer',
      `Bearer ${token}x`,
      `Bearer ${token.slice(0, -1)}`,
      `Bearer ${token.toUpperCase()}`,
      `Bearer ${ada.token}`,
      `Basic ${token}`,
      token,
      `Bearer ${token}, Bearer ${token}`,
      `Bearer ${token} ${token}`,
      'Bearer undefined',
    ]

    for (const authorization of sent) {
      const headers = authorization === undefined ? {} : { authorization }
      const { status, body, headers: answered } = await here.call('GET', '/metrics', { headers })
      expect([status, body.code], authorization).toEqual([401, 'unauthenticated'])
      expect(answered.get('www-authenticate')).toBe(
        `Bearer realm="taskwarden"${authorization === undefined ? '' : ', error="invalid_token"'}`,
      )
      expect(answered.get('content-type')).toBe('application/problem+json')
    }
    const headers = { authorization: `bearer  ${token}` }
    expect((await here.call('GET', '/metrics', { headers })).status).toBe(200)
    expect((await here.call('HEAD', '/metrics', { headers })).status).toBe(200)
    expect((await here.call('POST', '/metrics', { headers })).status).toBe(405)
    expect((await here.call('GET', '/api/tasks', { token })).status).toBe(401)
  })

  test('is Prometheus text with no-store, and not counted by any limit', async () => {
    const here = await service({ ...withMetrics, RATE_LIMIT: '1' })

    for (const sent of [{ token }, { token }, {}, {}]) {
      const { headers } = await here.call('GET', '/metrics', sent)
      expect(headers.get('cache-control')).toBe('no-store')
      expect(headers.get('ratelimit')).toBeNull()
    }

    const { headers, text } = await here.call('GET', '/metrics', { token })
    expect(headers.get('content-type')).toBe('text/plain; version=0.0.4; charset=utf-8')
    expect(parseMetrics(text).samples.length).toBeGreaterThan(50)
    const document = await here.call('GET', '/docs/json')
    expect(Object.keys(document.body.paths)).not.toContain('/metrics')
  })
})

describe('requests', () => {
  test('each is counted and timed once, with method, route pattern and status', async () => {
    const here = await service(withMetrics)
    const ada = await here.someone()
    const missing = Bun.randomUUIDv7()

    await ada.call('GET', '/api/tasks')
    await ada.call('GET', '/api/tasks')
    await ada.call('HEAD', '/api/tasks')
    await ada.call('POST', '/api/tasks', { title: 'Buy milk' })
    await ada.call('POST', '/api/tasks', '{', { 'content-type': 'application/json' })
    await ada.call('GET', `/api/tasks/${missing}`)
    await ada.call('GET', '/api/tasks/export')
    await here.call('GET', '/api/tasks')
    await here.call('OPTIONS', '/api/tasks')
    await here.call('DELETE', '/api/tasks')
    await here.call('GET', '/nowhere')

    const { samples, value } = await scrape(here)
    const counted = samples.filter(({ name }) => name === 'http_requests_total')
    expect(
      counted.map(({ labels, value }) => [labels.method, labels.route, labels.status, value]),
    ).toEqual(
      expect.arrayContaining([
        ['POST', '/api/auth/register', '201', 1],
        ['GET', '/api/tasks', '200', 2],
        ['HEAD', '/api/tasks', '200', 1],
        ['POST', '/api/tasks', '201', 1],
        ['POST', '/api/tasks', '400', 1],
        ['GET', '/api/tasks/:id', '404', 1],
        ['GET', '/api/tasks/export', '200', 1],
        ['GET', '/api/tasks', '401', 1],
        ['other', '/api/tasks', '204', 1],
        ['other', '/api/tasks', '405', 1],
        ['other', 'none', '404', 1],
      ]),
    )
    expect(value('http_requests_total')).toBe(12)
    expect(value('http_request_duration_seconds_count')).toBe(12)
    const post = { method: 'POST', route: '/api/tasks' }
    expect(value('http_request_duration_seconds_count', post)).toBe(2)
    expect(value('http_request_duration_seconds_bucket', { ...post, le: '+Inf' })).toBe(2)
    const logged = here.log.filter(
      ({ method, route }) => `${method} ${route}` === 'POST /api/tasks',
    )
    const ms = logged.reduce((sum, line) => sum + Number(line.ms), 0)
    expect(value('http_request_duration_seconds_sum', post)).toBeCloseTo(ms / 1000, 6)
  })

  test('the number of series is bounded by the operations of the app', async () => {
    const here = await service(withMetrics)
    const ada = await here.someone()
    const routes = here.app.routes.map(({ path }) => path)
    const operations = new Set(here.app.routes.map(({ method, path }) => `${method} ${path}`))
    const methods = [
      'GET',
      'HEAD',
      'POST',
      'PUT',
      'PATCH',
      'DELETE',
      'OPTIONS',
      'FOO',
      'get',
      'x'.repeat(99),
    ]

    for (let n = 0; n < 3000; n += 1) {
      const route = routes[n % routes.length] ?? ''
      const known = filled(route, `canary${n}`)
      const path =
        n % 3 === 0 ? known : n % 3 === 1 ? `${known}/canary${n}` : `/canary-${n}/%22%0a"`
      const sent = n % 2 === 0 ? { token: ada.token } : {}
      await here.call(methods[(n * 7) % methods.length] ?? '', `${path}?canary=${n}`, sent)
      if (n % 100 === 0) await Bun.sleep(0)
    }

    const { text, samples, value } = await scrape(here)
    const durationCounts = samples.filter(
      ({ name }) => name === 'http_request_duration_seconds_count',
    )
    expect(value('http_requests_total')).toBe(3001)
    expect(text).not.toContain('canary')
    expect(text).not.toMatch(/FOO|xxx/)
    // One operation per route, HEAD for each GET, and one for all other methods of each route and of unknown paths.
    const most = operations.size + routes.length + new Set(routes).size + 1
    expect(durationCounts.length).toBeLessThanOrEqual(most)
    expect(text.split('\n').length).toBeLessThan(most * 20)
    for (const { labels } of samples.filter(({ labels }) => labels.route !== undefined)) {
      expect(['none', ...routes]).toContain(labels.route ?? '')
      if (labels.method !== 'other' && labels.method !== 'HEAD')
        expect(operations).toContain(`${labels.method} ${labels.route}`)
    }
  })

  test('requests in flight include streams, and return to zero', async () => {
    const gate = Promise.withResolvers<void>()
    const silent = createLog(() => {}, 'silent')
    const body = () =>
      new ReadableStream({
        async start(stream) {
          stream.enqueue('head')
          await gate.promise
          stream.close()
        },
      })
    const server = createServer(
      { host: '127.0.0.1', port: 0, drainMs: 0 },
      () => new Response(body()),
      silent,
    )
    expect(server.inFlight()).toBe(0)
    const { url, stop } = server.start()

    const answers = await Promise.all([1, 2, 3].map(() => fetch(url)))
    const during = server.inFlight()
    gate.resolve()
    await Promise.all(answers.map((answer) => answer.text()))
    await stop()

    expect(during).toBe(3)
    expect(server.inFlight()).toBe(0)
  })
})

describe('dependencies', () => {
  test('sessions are counted by cause of start and end, sign-ins by outcome', async () => {
    const here = await service(withMetrics)
    const ada = await here.someone()
    const login = async (text: string): Promise<string> => {
      const body = { email: ada.email, password: text }
      return (await here.call('POST', '/api/auth/login', { body })).body.access_token
    }
    const changed = 'wrong donkey power plant'

    const second = await login(password)
    await login('wrong')
    await login('wrong')
    await ada.call('DELETE', '/api/auth/me', { current_password: 'wrong' })
    const made = await ada.call('POST', '/api/auth/tokens', { name: 'x', scope: 'tasks:read' })
    await ada.call('DELETE', `/api/auth/tokens/${made.body.id}`)
    await here.call('POST', '/api/auth/logout', { token: second })
    const third = await login(password)
    const { body } = await here.call('GET', '/api/auth/sessions', { token: third })
    const current = body.sessions.find((one: { current: boolean }) => one.current)
    await ada.call('DELETE', `/api/auth/sessions/${current.id}`)
    await ada.call('PUT', '/api/auth/me/password', {
      current_password: password,
      new_password: changed,
    })
    await ada.call('DELETE', '/api/auth/sessions')
    const last = await login(changed)
    const form = new URLSearchParams({
      grant_type: 'password',
      username: ada.email,
      password: changed,
    })
    await here.call('POST', '/api/oauth/token', {
      body: String(form),
      headers: { 'content-type': 'application/x-www-form-urlencoded' },
    })
    await here.call('DELETE', '/api/auth/me', { token: last, body: { current_password: changed } })

    const { samples } = await scrape(here)
    const counts = (metric: string) =>
      Object.fromEntries(
        samples
          .filter(({ name }) => name === metric)
          .map(({ labels, value }) => [Object.values(labels).join(), value]),
      )
    expect(counts('taskwarden_sessions_started_total')).toEqual({
      'sign-up': 1,
      'sign-in': 4,
      personal: 1,
    })
    expect(counts('taskwarden_session_endings_total')).toEqual({
      logout: 1,
      ended: 1,
      'token-ended': 1,
      'all-ended': 1,
      'password-change': 1,
      'password-reset': 0,
      'refresh-token-reuse': 0,
      deletion: 1,
    })
    expect(counts('taskwarden_sign_ins_total')).toEqual({
      succeeded: 4,
      failed: 2,
      'wrong-current-password': 1,
    })
  })

  test('LOG_LEVEL does not change what is counted', async () => {
    const here = await service({ ...withMetrics, LOG_LEVEL: 'silent' })

    await here.someone()

    expect((await scrape(here)).value('taskwarden_sessions_started_total')).toBe(1)
  })

  test('metrics do not change the log', async () => {
    const said = async (settings: Record<string, string>) => {
      const here = await service(settings)
      const ada = await here.someone()
      await ada.call('DELETE', '/api/auth/me', { current_password: 'wrong' })
      return here.log
        .filter(({ event }) => event !== 'request')
        .map(({ level, event, user_id }) => [level, event, user_id === ada.id])
    }

    const without = await said({})

    expect(await said(withMetrics)).toEqual(without)
    expect(without).toHaveLength(2)
  })

  test('decisions of the rate limit are counted by policy', async () => {
    const here = await service({ ...withMetrics, RATE_LIMIT: '3', LOGIN_ATTEMPTS: '1' })
    const { token } = await here.someone()
    const login = { body: { email: 'nobody@example.test', password: 'wrong' } }

    for (const _ of [1, 2, 3, 4]) await here.call('GET', '/api/tasks', { token })
    await here.call('POST', '/api/auth/logout', { token })
    await here.call('POST', '/api/auth/login', login)
    await here.call('POST', '/api/auth/login', login)
    await here.call('GET', '/nowhere')

    const { value } = await scrape(here)
    const decided = (budget: string) =>
      ['allowed', 'limited', 'unavailable'].map((decision) =>
        value('taskwarden_limiter_decisions_total', { budget, decision }),
      )
    expect(decided('api')).toEqual([3, 1, 0])
    expect(decided('endings')).toEqual([1, 0, 0])
    expect(decided('address')).toEqual([3, 1, 0])
    // The sign-up counts once, the first sign-in three times. The second sign-in is refused by its second limit.
    expect(decided('sign-in')).toEqual([5, 1, 0])
    expect(decided('other')).toEqual([0, 0, 0])
  })

  test('errors of the rate-limit store are counted', async () => {
    const rateLimitStore = {
      ...createMemoryStore(),
      add: () => {
        throw new RateLimitStoreUnavailable('unreachable')
      },
    }
    const here = await service(withMetrics, { rateLimitStore })

    expect((await here.call('GET', '/api/tasks')).status).toBe(503)

    const { value } = await scrape(here)
    const unavailable = { budget: 'address', decision: 'unavailable' }
    expect(value('taskwarden_limiter_decisions_total', unavailable)).toBe(1)
    expect(value('taskwarden_limiter_decisions_total')).toBe(1)
    expect(value('taskwarden_database_unavailable_total')).toBe(0)
  })

  test.each([
    ['deadline', 'deadline'],
    ['57014', 'deadline'],
    ['queue', 'queue'],
    ['ECONNREFUSED', 'connection'],
    ['CONNECTION_CLOSED', 'connection'],
    ['08006', 'connection'],
    ['57P01', 'restart'],
    ['53300', 'resources'],
    ['40P01', 'conflict'],
    ['3D000', 'other'],
  ])(
    'a database that answers %s is counted as %s, and the request’s line says so',
    async (code, kind) => {
      const db = () => {
        throw new DatabaseUnavailable(code)
      }
      const healthy = await service()
      const { token } = await healthy.someone()
      const here = await service(withMetrics, { db })

      expect((await here.call('GET', '/api/tasks', { token })).status).toBe(503)

      const { value } = await scrape(here)
      expect(value('taskwarden_database_unavailable_total', { kind })).toBe(1)
      expect(value('taskwarden_database_unavailable_total')).toBe(1)
      expect(here.log.find(({ status }) => status === 503)?.fault).toBe(code)
      expect(here.log.find(({ status }) => status === 200)?.fault).toBeUndefined()
    },
  )

  test('the bcrypt queue has metrics for running, waiting and refused hashes', async () => {
    using hashing = holdPasswordHashing()
    const settings = { BCRYPT_QUEUE_MAX: '2', LOGIN_ATTEMPTS: '10000' }
    const here = await service({ ...withMetrics, ...settings, LOGIN_ATTEMPTS_PER_ACCOUNT: '10000' })
    const body = { email: `${Bun.randomUUIDv7()}@example.test`, password }
    const atOnce = Math.max(1, availableParallelism() - 1)
    const attempts = Array.from({ length: atOnce + 5 }, () =>
      here.call('POST', '/api/auth/login', { body }),
    )
    const first = await Promise.race(attempts.map(async (attempt) => (await attempt).status))

    const during = await scrape(here)
    hashing.release()
    const statuses = (await Promise.all(attempts)).map(({ status }) => status)
    const after = await scrape(here)

    const refused = statuses.filter((status) => status === 503).length
    expect(first).toBe(503)
    expect(during.value('taskwarden_bcrypt_active')).toBe(atOnce)
    expect(during.value('taskwarden_bcrypt_waiting')).toBe(2)
    expect(refused).toBeGreaterThan(0)
    expect(after.value('taskwarden_bcrypt_refused_total')).toBe(refused)
    expect(after.value('taskwarden_bcrypt_active')).toBe(0)
    expect(after.value('taskwarden_bcrypt_waiting')).toBe(0)
    expect(after.value('taskwarden_bcrypt_waiting_max')).toBe(2)
  })

  test('the pool has metrics for its maximum, running and waiting statements', async () => {
    const here = await service(withMetrics)
    const { db, kind, pool } = await database()
    const { max } = pool()
    const many = Promise.all(Array.from({ length: max + 3 }, () => db.execute('select 1')))
    // A statement is sent some microtasks after its creation, and cannot complete within a few.
    for (let n = 0; n < 100 && pool().waiting < 3; n += 1) await Promise.resolve()

    const during = pool()
    await many
    const after = await scrape(here)

    expect(max).toBe(kind === 'embedded' ? 1 : 10)
    expect(during).toEqual({ max, used: max, waiting: 3 })
    expect(after.value('taskwarden_database_connections_max')).toBe(max)
    expect(after.value('taskwarden_database_connections_used')).toBe(0)
    expect(after.value('taskwarden_database_waiting')).toBe(0)
  })

  test('ready is the result of /ready; no result is not ready', async () => {
    let ready: () => Promise<boolean> = async () => true
    const here = await service(withMetrics, { isReady: () => ready() })
    const said = async () => (await scrape(here)).value('taskwarden_ready')

    expect(await said()).toBe(1)
    ready = async () => false
    expect(await said()).toBe(0)
    ready = () => new Promise(() => {})
    expect(await said()).toBe(0)
  })

  test('each block of the event loop is measured', async () => {
    let late = Promise.withResolvers<number>()
    watchEventLoopLag((seconds) => {
      if (seconds > 0.15) late.resolve(seconds)
    })

    for (const _ of [1, 2, 3]) {
      late = Promise.withResolvers()
      Bun.sleepSync(300)
      expect(await late.promise).toBeGreaterThan(0.15)
    }
  })

  test('process and build have metrics, and each metric has its type', async () => {
    const { version } = await Bun.file('package.json').json()
    const here = await service(withMetrics)

    const { value, types, samples } = await scrape(here)

    expect(value('taskwarden_build_info', { version, bun: Bun.version })).toBe(1)
    expect(value('process_resident_memory_bytes')).toBeGreaterThan(10_000_000)
    expect(value('process_js_heap_used_bytes')).toBeGreaterThan(1_000_000)
    expect(value('process_cpu_seconds_total')).toBeGreaterThan(0)
    expect(value('process_start_time_seconds')).toBeCloseTo(performance.timeOrigin / 1000, 3)
    for (const { name } of samples)
      expect([
        name,
        types.get(name) ?? types.get(name.replace(/_(bucket|sum|count)$/, '')),
      ]).toEqual([name, expect.stringMatching(/^(counter|gauge|histogram)$/)])
    for (const [name, type] of types) expect(name.endsWith('_total'), name).toBe(type === 'counter')
  })
})

test('two services in one process count separately, without the global registry of the library', async () => {
  const [here, there] = [await service(withMetrics), await service(withMetrics)]

  await here.someone()

  expect((await scrape(here)).value('http_requests_total')).toBe(1)
  expect((await scrape(there)).value('http_requests_total')).toBe(0)
  expect((await scrape(there)).value('taskwarden_sessions_started_total')).toBe(0)
  expect((await scrape(there)).value('taskwarden_limiter_decisions_total')).toBe(0)
  expect(register.getMetricsAsArray()).toEqual([])
})

test('no metric contains data of a user or a request', async () => {
  const here = await service(withMetrics)
  const ada = await here.someone()
  await ada.call('POST', '/api/tasks', { title: 'canary title' })
  await here.call('GET', '/api/tasks?q=canary', { token: `${ada.token}canary` })

  const { text } = await scrape(here)

  for (const secret of [ada.id, ada.email, ada.token, token, password, 'canary', '203.0.113.1'])
    expect(text).not.toContain(secret)
})
