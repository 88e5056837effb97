import { setSystemTime } from 'bun:test'
import { PGlite } from '@electric-sql/pglite'
import { eq } from 'drizzle-orm'
import { drizzle } from 'drizzle-orm/pglite'
import { drizzle as onPostgres } from 'drizzle-orm/postgres-js'
import type { Sql } from 'postgres'
import { createApp } from '../../src/app.ts'
import { type Config, readConfig } from '../../src/config/config.ts'
import { openDatabase } from '../../src/db/client.ts'
import type { Database, Db, StatementSender } from '../../src/db/database.ts'
import { sessions, tasks, userChanges, users } from '../../src/db/schema.ts'
import { createLog, type LogFields } from '../../src/log.ts'
import { purgeExpired } from '../../src/maintenance/purge.ts'
import { loadMetrics } from '../../src/metrics/load-metrics.ts'
import type { RateLimitCounters } from '../../src/rate-limit/store.ts'
import { ownCounters } from './rate-limit-stores.ts'
import { byItself, onBehalfOf, recordStatement, statements } from './recorded-statements/log.ts'

const environment = {
  DATABASE_URL: process.env.TEST_DATABASE_URL ?? 'pglite:memory',
  JWT_SECRET: 'a secret that is long enough for the tests',
  BCRYPT_COST: '4',
  // The most there is: a machine that has other things to do, or a slow disk, is no outage here.
  DB_TIMEOUT_MS: '25000',
  RATE_LIMIT: '100000',
  LOGIN_ATTEMPTS_PER_ADDRESS: '100000',
}

/** One for the whole process: PGlite takes a second to open, and tests keep apart by making their own users. */
const opened = globalThis as typeof globalThis & { database?: Promise<Database> }
export const database = (): Promise<Database> => {
  opened.database ??= (async () => {
    const database = await openDatabase(readConfig(environment).database)
    await database.migrate()
    return database
  })()
  return opened.database
}

/**
 * The database as services have it: the same, with a witness to what is handed to the driver. What
 * a test asks by itself, of `database()`, is not a service's.
 */
const recordedDatabase = async (): Promise<Db> => {
  const { db, kind } = await database()
  const { $client: driver } = db as unknown as { $client: PGlite & Sql & StatementSender }
  type Send = (text: string, params?: unknown[], ...rest: unknown[]) => unknown
  const saw =
    (send: Send): Send =>
    (text, params = [], ...rest) => {
      recordStatement(text, params)
      return send.call(driver, text, params, ...rest)
    }
  const client = new Proxy(driver, {
    get: (from, name) => {
      const found = Reflect.get(from, name, from)
      return name === 'query' || name === 'unsafe' || name === 'arrays' ? saw(found) : found
    },
  })
  const drizzled =
    kind === 'postgres'
      ? onPostgres(client, { casing: 'snake_case' })
      : drizzle(client, { casing: 'snake_case' })
  return drizzled as unknown as Db
}

/** What is sent to the database while `work` runs. */
export const sentBy = async (work: () => Promise<unknown>) => {
  const from = statements.length
  await work()
  return statements.slice(from)
}

/** Moves time on, for libraries too. A file that uses it or `at` ends each test by `afterEach(realTime)`. */
export const pass = (ms: number) => void setSystemTime(Date.now() + ms)
export const at = (instant: string | number) => void setSystemTime(new Date(instant))
export const realTime = () => void setSystemTime()

/** All that the database holds of a user, to be compared before and after. */
export const rowsOf = async (id: string) => {
  const { db } = await database()
  return {
    users: await db.select().from(users).where(eq(users.id, id)),
    changes: await db.select().from(userChanges).where(eq(userChanges.user_id, id)),
    sessions: await db.select().from(sessions).where(eq(sessions.user_id, id)).orderBy(sessions.id),
    tasks: await db.select().from(tasks).where(eq(tasks.user_id, id)).orderBy(tasks.id),
  }
}

/** An answer without what differs from one to the next: the request's id and the count. */
export const faceless = ({ status, headers, text }: Answer) => {
  const id = headers.get('x-request-id') ?? ''
  const kept = [...headers].filter(([name]) => !/^(x-request-id|ratelimit.*)$/.test(name))
  return { status, headers: Object.fromEntries(kept), text: text.replace(id, '(id)') }
}

/** A path with its parameters filled in. */
export const filled = (path: string, id = Bun.randomUUIDv7()) => path.replace(/:\w+/g, id)

type Call = { body?: unknown; token?: string | undefined; headers?: Record<string, string> }
export type Answer = {
  status: number
  headers: Headers
  text: string
  // biome-ignore lint/suspicious/noExplicitAny: a test reads what a client would read
  body: any
}

type Failing = {
  /** Whether the schema is there. */
  isUp?: () => boolean
  /** What happens in place of each statement. */
  db?: () => unknown
  rateLimitStore?: RateLimitCounters
  isReady?: () => Promise<boolean>
}

/** A service of its own: own settings, own counters, own log; the database is everybody's. */
export const service = async (env: Record<string, string> = {}, failing: Failing = {}) => {
  const config: Config = readConfig({ ...environment, ...env })
  const db = failing.db ? dbThat(failing.db) : await recordedDatabase()
  const log: LogFields[] = []
  const peer = { address: '203.0.113.1' as string | undefined }
  const app = createApp({
    config,
    db,
    rateLimitStore: failing.rateLimitStore ?? (await ownCounters()),
    log: createLog((line) => log.push(JSON.parse(line)), 'debug'),
    isUp: failing.isUp ?? (() => true),
    isReady: failing.isReady ?? (async () => true),
    peerOf: () => peer.address,
    createMetrics: await loadMetrics(config.metrics.token),
    processState: { inFlight: () => 0, pool: (await database()).pool, watchEventLoopLag: () => {} },
  })

  const { fetch } = app
  Object.defineProperty(app, 'fetch', {
    value: (request: Request) => onBehalfOf(request, () => fetch(request)),
  })

  const call = async (method: string, path: string, { body, token, headers }: Call = {}) => {
    const sent = new Headers(headers)
    if (token !== undefined) sent.set('authorization', `Bearer ${token}`)
    const raw =
      typeof body === 'string' || body instanceof Uint8Array || body instanceof ReadableStream
    if (body !== undefined && !raw && !sent.has('content-type'))
      sent.set('content-type', 'application/json')
    const payload = raw ? body : JSON.stringify(body)
    const request = new Request(`http://localhost${path}`, {
      method,
      headers: sent,
      ...(body !== undefined && { body: payload as Bun.BodyInit }),
    })
    // What is streamed is asked for while it is read.
    return onBehalfOf(request, async () => read(await app.fetch(request)))
  }

  const password = 'correct horse battery'
  /** Somebody new, signed in. */
  const someone = async () => {
    const email = `${Bun.randomUUIDv7()}@example.test`
    const { body, status } = await call('POST', '/api/auth/register', { body: { email, password } })
    if (status !== 201) throw new Error(`could not sign up: ${status} ${JSON.stringify(body)}`)
    const token: string = body.access_token
    return {
      id: body.user.id as string,
      email,
      password,
      token,
      call: (method: string, path: string, body?: unknown, headers: Record<string, string> = {}) =>
        call(method, path, { body, token, headers }),
    }
  }

  const purge = (days: number) => byItself('purge', () => purgeExpired(db, days))

  return { app, config, call, someone, log, peer, purge }
}

/** A database of which every statement does what is said: throw, never answer, or answer this. */
export const dbThat = (does: () => unknown): Db => {
  const query = async () => does()
  const client = Object.assign(Object.create(PGlite.prototype), { query, arrays: query })
  return drizzle(client, { casing: 'snake_case' }) as unknown as Db
}

export type Service = Awaited<ReturnType<typeof service>>
export type Someone = Awaited<ReturnType<Service['someone']>>

const read = async (response: Response): Promise<Answer> => {
  const text = await response.text()
  const isJson = /[/+]json/.test(response.headers.get('content-type') ?? '')
  return {
    status: response.status,
    headers: response.headers,
    text,
    body: isJson && text !== '' ? JSON.parse(text) : undefined,
  }
}
