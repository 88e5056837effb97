import { expect, test } from 'bun:test'
import { join } from 'node:path'
import { createApp } from '../src/app.ts'
import { createJwt } from '../src/auth/access-tokens/jwt.ts'
import { readConfig } from '../src/config/config.ts'
import type { Db } from '../src/db/database.ts'
import { createLog } from '../src/log.ts'
import { loadMetrics } from '../src/metrics/load-metrics.ts'
import { createNotifications } from '../src/notifications/notifications.ts'
import { createMemoryStore } from '../src/rate-limit/memory.ts'

/** All files that a process has loaded after the program ran. */
const loadedBy = async (program: string): Promise<string[]> => {
  const child = Bun.spawn(
    [process.execPath, '-e', `${program}\nconsole.log(JSON.stringify(Object.keys(require.cache)))`],
    { cwd: join(import.meta.dir, '..'), env: {}, stderr: 'inherit' },
  )
  return JSON.parse(await child.stdout.text())
}

/** Modules that cost memory or start time, and that only some processes or requests need. */
const rare =
  /language-common|passwords\/strength|csv-parse|prom-client|@elysiajs\/swagger|@electric-sql\/pglite\//

test('a service on PostgreSQL starts without modules that only some requests need', async () => {
  const loaded = await loadedBy(`await import('./src/cli/serve.ts')`)

  expect(loaded.some((file) => file.endsWith('src/app.ts'))).toBe(true)
  expect(loaded.filter((file) => rare.test(file))).toEqual([])
})

test.each(['--version', 'healthcheck'])('%s does not load the service', async (command) => {
  const context = `{ env: { PORT: '0' }, print() {}, printError() {} }`
  const loaded = await loadedBy(
    `await (await import('./src/cli/run.ts')).run(['${command}'], ${context})`,
  )

  expect(loaded.some((file) => file.endsWith('src/cli/run.ts'))).toBe(true)
  expect(loaded.filter((file) => /node_modules/.test(file))).toEqual([])
})

test('a start builds no statement; a request builds the ones it needs', async () => {
  const touched: string[] = []
  const db = new Proxy({} as Db, {
    get: (_, name) => {
      touched.push(String(name))
      throw new Error('the database was used')
    },
  })
  const config = readConfig({ DATABASE_URL: 'postgres://db/x', JWT_SECRET: 'x'.repeat(32) })

  const app = createApp({
    config,
    db,
    rateLimitStore: createMemoryStore(),
    log: createLog(() => {}, 'silent'),
    recordUse: () => {},
    onJobs: () => {},
    notifications: createNotifications({ log: createLog(() => {}, 'silent') }),
    waiting: { stopSignal: new AbortController().signal, extendIdleTimeout: () => {} },
    processState: {
      inFlight: () => 0,
      pool: () => ({ max: 1, used: 0, waiting: 0 }),
      watchEventLoopLag: () => {},
    },
    createMetrics: await loadMetrics(undefined),
    isUp: () => true,
    isReady: async () => true,
    peerOf: () => undefined,
  })
  const ready = await app.fetch(new Request('http://localhost/ready'))
  expect([ready.status, touched]).toEqual([200, []])

  const inAnHour = new Date(Date.now() + 3_600_000).toISOString()
  const token = await createJwt(config.jwt).sign(Bun.randomUUIDv7(), Bun.randomUUIDv7(), inAnHour)
  const headers = { authorization: `Bearer ${token}` }
  const listed = await app.fetch(new Request('http://localhost/api/tasks', { headers }))
  expect([listed.status, touched.length > 0]).toEqual([500, true])
})

test('prom-client is loaded only with METRICS_TOKEN', async () => {
  const program = (token: string) =>
    `await (await import('./src/metrics/load-metrics.ts')).loadMetrics(${token})`

  const [without, having] = [await loadedBy(program('undefined')), await loadedBy(program('"x"'))]

  const loadsIt = [without, having].map((files) => files.some((file) => /prom-client/.test(file)))
  expect(loadsIt).toEqual([false, true])
})
