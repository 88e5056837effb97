import { afterAll, describe, expect, test } from 'bun:test'
import { stat } from 'node:fs/promises'
import { join } from 'node:path'
import { scrape, withMetrics } from '../support/scrape.ts'
import {
  cleanUp,
  embedded,
  folder,
  invoke,
  kinds,
  patience,
  type RunningService,
  run,
  start,
} from './process.ts'

/*
 * Black-box tests of the shipped service: `TEST_BINARY`, or `bun src/main.ts`.
 */

afterAll(cleanUp)

const json = { 'content-type': 'application/json' }
const statusLine = (answer: string) => answer.slice(0, answer.indexOf('\r\n'))
const bodyOf = (answer: string) => answer.slice(answer.indexOf('\r\n\r\n') + 4)

describe.each(kinds)('on %s', (_, database) => {
  test(
    'the metrics include the process, its listener, its pool and its event loop',
    async () => {
      const settings: Record<string, string> = await database()
      const service = await start({ ...settings, ...withMetrics })
      const ada = await service.someone()
      await service.call('GET', '/api/tasks', { token: ada.token })

      let metrics = await scrape(service)
      while (metrics.value('event_loop_lag_seconds_count') === 0) metrics = await scrape(service)

      const { value } = metrics
      expect(value('taskwarden_ready')).toBe(1)
      expect(value('http_requests_in_flight')).toBe(1)
      expect(value('http_requests_total', { route: '/api/tasks', status: '200' })).toBe(1)
      expect(value('taskwarden_sessions_started_total', { cause: 'sign-up' })).toBe(1)
      expect(value('taskwarden_database_connections_max')).toBe(settings.DATABASE_URL ? 10 : 1)
      expect(value('process_resident_memory_bytes')).toBeGreaterThan(20_000_000)
      expect(value('process_cpu_seconds_total')).toBeGreaterThan(0.01)
      expect(value('process_open_fds')).toBeGreaterThan(2)
      expect((await service.call('GET', '/metrics')).status).toBe(401)
      expect(await service.stop()).toBe(0)
    },
    patience,
  )

  test(
    'an account and its completed task are there after a restart',
    async () => {
      const settings = await database()
      const first = await start(settings)
      const ada = await first.someone()
      const { body: task, status } = await first.call('POST', '/api/tasks', {
        token: ada.token,
        body: { title: 'Buy milk', tags: ['home'], due_at: '2026-12-24T18:00:00+01:00' },
      })
      expect(status).toBe(201)
      const done = await first.call('PATCH', `/api/tasks/${task.id}/complete`, { token: ada.token })
      expect(done.body).toEqual({ success: true, completed: true })
      expect(await first.stop()).toBe(0)

      const second = await start(settings)
      const listed = await second.call('GET', '/api/tasks', { token: ada.token })
      expect(listed.status).toBe(200)
      expect(listed.body.tasks).toHaveLength(1)
      expect(listed.body.tasks[0]).toMatchObject({
        id: task.id,
        title: 'Buy milk',
        completed: true,
        version: 2,
      })
      const { email, password } = ada
      expect(
        (await second.call('POST', '/api/auth/login', { body: { email, password } })).status,
      ).toBe(200)
      expect((await second.call('POST', '/api/auth/logout', { token: ada.token })).status).toBe(204)
      expect(await second.stop('SIGINT')).toBe(0)

      const third = await start(settings)
      expect((await third.call('GET', '/api/tasks', { token: ada.token })).status).toBe(401)
      expect(await third.stop()).toBe(0)
      expect(await third.stderr).toBe('')
    },
    patience,
  )

  test(
    'the log has one JSON object per line and no secrets',
    async () => {
      const service = await start({ ...(await database()), LOG_LEVEL: 'debug' })
      const { email, password, token } = await service.someone()
      const canary = 'canary-4711'
      await service.call('POST', '/api/tasks', { token, body: { title: canary } })
      await service.call('POST', '/api/auth/login', { body: { email, password: canary } })
      await service.call('GET', `/api/tasks/${canary}?${canary}=1`, { token })
      await service.call('GET', '/api/tasks', { token: canary, headers: { 'user-agent': canary } })
      await service.raw(
        `GET /\x1b[31m${canary} HTTP/1.1\r\nHost: ${canary}\r\nX-Request-Id: "\\\r\n\r\n`,
      )
      expect(await service.stop()).toBe(0)

      expect(service.lines.length).toBeGreaterThan(8)
      for (const line of service.lines) {
        const { time, level, event } = JSON.parse(line)
        expect([Number.isNaN(Date.parse(time)), typeof level, typeof event]).toEqual([
          false,
          'string',
          'string',
        ])
      }
      const log = service.lines.join('\n')
      for (const secret of [canary, password, token, email, 'insert into', '$2b$'])
        expect(log).not.toContain(secret)
      expect(await service.stderr).toBe('')
    },
    patience,
  )
})

describe('the embedded database', () => {
  test(
    'belongs to one process: a second one on the same directory exits with a message',
    async () => {
      const settings = await embedded()
      const first = await start(settings)
      const second = run(settings)

      expect(await second.ended()).toBe(1)
      const said = await second.stderr
      expect(said.trim().split('\n')).toHaveLength(1)
      expect(said).toMatch(/^taskwarden: .*(in use|another process)/)
      expect(said).not.toMatch(/\bat .*\.ts/)
      expect((await first.call('GET', '/ready')).status).toBe(200)
      await first.stop()
    },
    patience,
  )

  test(
    'has everything that was acknowledged after the process is killed',
    async () => {
      const settings = await embedded()
      const first = await start(settings)
      const ada = await first.someone()
      const { body } = await first.call('POST', '/api/tasks', {
        token: ada.token,
        body: { title: 'x' },
      })
      await first.stop('SIGKILL')

      const second = await start(settings)
      const read = await second.call('GET', `/api/tasks/${body.id}`, { token: ada.token })
      expect(read.body).toEqual(body)
      await second.stop()
    },
    patience,
  )

  test(
    'stores its secret once, in a file that only its owner can read',
    async () => {
      const settings = await embedded()
      const path = join(settings.DATA_DIR, 'jwt-secret')
      const first = await start(settings)
      const secret = await Bun.file(path).text()
      await first.stop()
      const second = await start(settings)
      await second.stop()

      expect((await stat(path)).mode & 0o777).toBe(0o600)
      expect(Buffer.from(secret.trim(), 'base64').length).toBeGreaterThanOrEqual(32)
      expect(await Bun.file(path).text()).toBe(secret)
      const said = [...first.lines, ...second.lines].join('\n')
      expect(said).not.toContain(secret.trim())
    },
    patience,
  )
})

describe('settings', () => {
  test(
    'production without DATABASE_URL is refused with advice',
    async () => {
      const DATA_DIR = await folder()
      const refused = run({ NODE_ENV: 'production', BCRYPT_COST: '12', DATA_DIR })

      expect(await refused.ended()).toBe(78)
      expect(await refused.stderr).toMatch(/^taskwarden: DATABASE_URL: .*postgres:\/\/.*pglite:/m)
      expect(refused.lines).toEqual([])
    },
    patience,
  )

  test(
    'production accepts the embedded database if DATABASE_URL names it',
    async () => {
      const DATA_DIR = await folder()
      const service = await start({
        NODE_ENV: 'production',
        BCRYPT_COST: '12',
        DATABASE_URL: 'pglite:',
        DATA_DIR,
      })

      expect((await service.call('GET', '/ready')).status).toBe(200)
      expect(await service.stop()).toBe(0)
    },
    patience,
  )

  test(
    'a copy of .env.example starts on the embedded database, on loopback only, and says so',
    async () => {
      const example = await Bun.file('.env.example').text()
      const lines = example.matchAll(/^([A-Z_]+)=(.*)$/gm)
      const settings = Object.fromEntries([...lines].map(([, name, value]) => [name, value ?? '']))
      const copied = await start({ ...settings, PORT: '0', DRAIN_MS: '0', ...(await embedded()) })

      expect(await copied.logged('listening')).toMatchObject({
        url: expect.stringMatching(/^http:\/\/127\.0\.0\.1:\d+\/$/),
      })
      expect(await copied.logged('other machines cannot connect')).toMatchObject({
        advice: expect.stringContaining('HOST=::'),
      })
      expect(await copied.stop()).toBe(0)
    },
    patience,
  )

  test(
    'a misspelled setting is logged as a warning, and reported by doctor',
    async () => {
      const settings = { ...(await embedded()), CORS_ORIGIN: 'https://canary.example' }
      const service = await start(settings)
      const warning = await service.logged('unknown setting')
      await service.stop()
      const { out } = await invoke(['doctor'], settings)

      expect(warning).toMatchObject({
        level: 'warn',
        variable: 'CORS_ORIGIN',
        likely: 'CORS_ORIGINS',
      })
      expect(out).toContain(
        'note   settings: CORS_ORIGIN is not a setting; perhaps CORS_ORIGINS is meant',
      )
      expect(out + service.lines.join('')).not.toContain('canary')
    },
    patience,
  )

  test(
    'invalid settings are all reported, one line each, without their values',
    async () => {
      const refused = run({
        PORT: 'canary-port',
        RATE_LIMIT: '-1',
        JWT_SECRET: 'canary-short',
        REGISTRATION: 'canary-maybe',
        DATABASE_URL: 'mysql://canary-password@x/y',
        TRUST_PROXY: 'canary-everybody',
      })

      expect(await refused.ended()).toBe(78)
      const lines = (await refused.stderr).trim().split('\n')
      const names = lines.map((line) => /^taskwarden: ([A-Z_]+): /.exec(line)?.[1])
      expect(new Set(names)).toEqual(
        new Set([
          'PORT',
          'RATE_LIMIT',
          'JWT_SECRET',
          'REGISTRATION',
          'DATABASE_URL',
          'TRUST_PROXY',
        ]),
      )
      expect(lines.join('\n')).not.toContain('canary')
    },
    patience,
  )

  test(
    'a port that is in use is reported in one line',
    async () => {
      const first = await start(await embedded())
      const second = run({ ...(await embedded()), PORT: String(first.port) })

      expect(await second.ended()).toBe(1)
      expect((await second.stderr).trim()).toBe(
        `taskwarden: port ${first.port} is in use by another process; set PORT to a free one`,
      )
      await first.stop()
    },
    patience,
  )
})

describe('a signal', () => {
  test(
    'drains: /ready is 503, responses close their connection, requests are served, and the exit code is 0',
    async () => {
      const service = await start({ ...(await embedded()), DRAIN_MS: '1500' })
      const { token } = await service.someone()
      expect((await service.call('GET', '/ready')).headers.get('connection')).not.toBe('close')

      service.child.kill('SIGTERM')
      await service.logged('draining')
      const ready = await service.raw('GET /ready HTTP/1.1\r\nHost: x\r\n\r\n')
      const served = await service.raw(
        `GET /api/tasks HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer ${token}\r\n\r\n`,
      )

      expect(statusLine(ready)).toBe('HTTP/1.1 503 Service Unavailable')
      expect(ready.toLowerCase()).toContain('\r\nconnection: close\r\n')
      expect(JSON.parse(bodyOf(ready))).toMatchObject({ code: 'unavailable' })
      expect(statusLine(served)).toBe('HTTP/1.1 200 OK')
      expect(served.toLowerCase()).toContain('\r\nconnection: close\r\n')
      expect(await service.ended()).toBe(0)
      expect(await service.stderr).toBe('')
    },
    patience,
  )

  test.each(['SIGTERM', 'SIGINT'] as const)(
    '%s drops no request in flight',
    async (signal) => {
      const service = await start({ ...(await embedded()), BCRYPT_COST: '12' })
      const { email } = await service.someone()
      const body = { email, password: 'correct horse battery' }

      // Each takes a core for about 235 ms, so they are in flight long after the listener has closed.
      const answers = Array.from({ length: 8 }, () =>
        service.call('POST', '/api/auth/login', { body }),
      )
      await Promise.race(answers)
      const code = await service.stop(signal)

      const statuses = (await Promise.all(answers)).map(({ status }) => status)
      expect([code, statuses]).toEqual([0, Array(8).fill(200)])
    },
    patience,
  )

  test(
    'repeated, ends the process at once',
    async () => {
      const service = await start({ ...(await embedded()), DRAIN_MS: '60000' })
      const from = performance.now()

      service.child.kill('SIGTERM')
      const again = setInterval(() => service.child.kill('SIGTERM'), 250)
      const code = await service.ended()
      clearInterval(again)

      expect(code).toBe(130)
      expect(performance.now() - from).toBeLessThan(30_000)
    },
    patience,
  )
})

describe('on the wire', () => {
  let running: Promise<RunningService> | undefined
  const wire = () => {
    running ??= (async () => start({ ...(await embedded()), HOST: '::', RATE_LIMIT: '100000' }))()
    return running
  }

  test(
    'a body without a length is 413 when it exceeds the limit',
    async () => {
      const { call, origin } = await wire()
      const chunk = new Uint8Array(16_384).fill(32)
      let sent = 0
      const endless = new ReadableStream({
        pull: (controller) => {
          sent += chunk.length
          controller.enqueue(chunk)
        },
      })

      const response = await fetch(`${origin}/api/auth/login`, {
        method: 'POST',
        headers: json,
        body: endless,
      })
      expect(response.status).toBe(413)
      expect(response.headers.get('content-type')).toBe('application/problem+json')
      expect(await response.json()).toMatchObject({ code: 'body-too-large' })
      expect(sent).toBeLessThan(50_000_000)
      expect((await call('GET', '/health')).status).toBe(200)
    },
    patience,
  )

  test.each(['65537', '200000000', '99999999999'])(
    'a declared body size of %s bytes is a 413 problem, and the body is not read',
    async (length) => {
      const { raw } = await wire()

      const answer = await raw(
        `POST /api/auth/login HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: ${length}\r\n\r\n{`,
      )
      expect(statusLine(answer)).toBe('HTTP/1.1 413 Payload Too Large')
      expect(JSON.parse(bodyOf(answer))).toMatchObject({ code: 'body-too-large' })
    },
    patience,
  )

  test(
    'HEAD has the headers of GET, a length and no body, for problems too',
    async () => {
      const { raw, someone } = await wire()
      const { token } = await someone()
      const authorization = `Authorization: Bearer ${token}\r\n`

      for (const [path, sent, status] of [
        ['/api/tasks', authorization, '200 OK'],
        ['/health', '', '200 OK'],
        ['/api/tasks', '', '401 Unauthorized'],
        ['/api/tasks/x', authorization, '404 Not Found'],
        ['/nothing', '', '404 Not Found'],
      ]) {
        const answer = await raw(`HEAD ${path} HTTP/1.1\r\nHost: x\r\n${sent}\r\n`)
        expect(statusLine(answer)).toBe(`HTTP/1.1 ${status}`)
        expect(bodyOf(answer)).toBe('')
        expect(answer.toLowerCase()).toMatch(/\r\ncontent-length: [1-9]\d*\r\n/)
        expect(answer.toLowerCase()).toContain('\r\nx-content-type-options: nosniff\r\n')
      }
    },
    patience,
  )

  test.each([
    '',
    'x',
    'a.b.c',
    'a/b',
    'a?b',
    'a#b',
    'a b',
    '[::1]:3',
    'a:b:c',
    '\\',
    '@',
    'é',
    'localhost/health?',
    'x'.repeat(3000),
  ])(
    'a Host of %j leads to no other route than the path says',
    async (host) => {
      const { raw } = await wire()
      const ask = async (path: string) =>
        statusLine(await raw(`GET ${path} HTTP/1.1\r\nHost: ${host}\r\nConnection: close\r\n\r\n`))

      expect(await ask('/health')).toBe('HTTP/1.1 200 OK')
      expect(await ask('/api/tasks')).toBe('HTTP/1.1 401 Unauthorized')
      expect(await ask('/nothing')).toBe('HTTP/1.1 404 Not Found')
    },
    patience,
  )

  test(
    'HTTP/1.0 without a Host is served, also with a body',
    async () => {
      const { raw, someone } = await wire()
      const { token } = await someone()

      expect(statusLine(await raw('GET /health HTTP/1.0\r\n\r\n'))).toBe('HTTP/1.1 200 OK')
      const created = await raw(
        `POST /api/tasks HTTP/1.0\r\nAuthorization: Bearer ${token}\r\n` +
          'Content-Type: application/json\r\nContent-Length: 13\r\n\r\n{"title":"x"}',
      )
      expect(statusLine(created)).toBe('HTTP/1.1 201 Created')
      expect(JSON.parse(bodyOf(created)).title).toBe('x')
    },
    patience,
  )

  test(
    'HTTP/1.0 without a Host counts for the address of its peer',
    async () => {
      const { raw } = await wire()
      const left = async (request: string) =>
        Number(/^RateLimit-Remaining: (\d+)/im.exec(await raw(request))?.[1])
      const withHost = 'GET /api/tasks HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n'

      const before = await left(withHost)

      expect(await left('GET /api/tasks HTTP/1.0\r\n\r\n')).toBe(before - 1)
      expect(await left(withHost)).toBe(before - 2)
    },
    patience,
  )

  /** The reply, or nothing if the parser closes the connection. It is never a 5xx, and the next request is served. */
  test.each([
    ['no Host', 'GET /health HTTP/1.1\r\n\r\n', 400],
    ['two Hosts', 'GET /health HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n', 200],
    [
      'a length and chunks',
      'POST /api/auth/login HTTP/1.1\r\nHost: x\r\nContent-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n',
      400,
    ],
    [
      'two lengths',
      'POST /api/auth/login HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\nContent-Length: 3\r\n\r\n{}x',
      400,
    ],
    [
      'a negative length',
      'POST /api/auth/login HTTP/1.1\r\nHost: x\r\nContent-Length: -2\r\n\r\n{}',
      400,
    ],
    [
      'a length with a plus',
      'POST /api/auth/login HTTP/1.1\r\nHost: x\r\nContent-Length: +2\r\n\r\n{}',
      400,
    ],
    [
      'a header of 17 KB',
      `GET /health HTTP/1.1\r\nHost: x\r\nX: ${'a'.repeat(17_000)}\r\n\r\n`,
      431,
    ],
    ['a URL of 20 KB', `GET /health?${'a'.repeat(20_000)} HTTP/1.1\r\nHost: x\r\n\r\n`, 431],
    ['a CR in a request id', 'GET /health HTTP/1.1\r\nHost: x\r\nX-Request-Id: a\rb\r\n\r\n', 400],
    ['a fragment', 'GET /health#x HTTP/1.1\r\nHost: x\r\n\r\n', 404],
    ['a fragment before a query', 'GET /health#?x HTTP/1.1\r\nHost: x\r\n\r\n', 404],
    ['two slashes', 'GET //health HTTP/1.1\r\nHost: x\r\n\r\n', 404],
    ['dots', 'GET /api/../health HTTP/1.1\r\nHost: x\r\n\r\n', 200],
    [
      'dots that end at a closed route',
      'GET /health/../api/tasks HTTP/1.1\r\nHost: x\r\n\r\n',
      401,
    ],
    ['dots, encoded', 'GET /health/%2e%2e/api/tasks HTTP/1.1\r\nHost: x\r\n\r\n', 401],
    ['an absolute address', 'GET http://evil/api/tasks HTTP/1.1\r\nHost: x\r\n\r\n', 401],
    ['TRACE', 'TRACE /api/tasks HTTP/1.1\r\nHost: x\r\n\r\n', 405],
    ['CONNECT', 'CONNECT /api/tasks HTTP/1.1\r\nHost: x\r\n\r\n', 405],
    ['PROPFIND', 'PROPFIND /api/tasks HTTP/1.1\r\nHost: x\r\n\r\n', 405],
    ['an unknown method', 'FOO /api/tasks HTTP/1.1\r\nHost: x\r\n\r\n', undefined],
    [
      'an upgrade',
      'GET /api/tasks HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n',
      401,
    ],
    ['no HTTP', '\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03', 400],
    [
      'two tokens',
      'GET /api/tasks HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer a\r\nAuthorization: Bearer b\r\n\r\n',
      401,
    ],
  ])(
    '%s cannot do harm',
    async (_, text, status) => {
      const { raw, call } = await wire()

      const answer = await raw(text)
      const got = /^HTTP\/1\.1 (\d+) /.exec(answer)?.[1]
      expect(got).toBe(status === undefined ? undefined : String(status))
      expect((await call('GET', '/health')).status).toBe(200)
    },
    patience,
  )

  test(
    'pipelined requests get their responses in order',
    async () => {
      const { raw } = await wire()
      const ask = (path: string) => `GET ${path} HTTP/1.1\r\nHost: x\r\n\r\n`

      const answer = await raw(ask('/health') + ask('/api/tasks') + ask('/nothing'))
      expect(answer.match(/HTTP\/1\.1 (\d+)/g)).toEqual([
        'HTTP/1.1 200',
        'HTTP/1.1 401',
        'HTTP/1.1 404',
      ])
    },
    patience,
  )

  test(
    'IPv4 and IPv6 are served, and the address is that of the socket',
    async () => {
      const { port } = await wire()

      for (const host of ['127.0.0.1', '[::1]'])
        expect((await fetch(`http://${host}:${port}/health`)).status).toBe(200)
    },
    patience,
  )
})
