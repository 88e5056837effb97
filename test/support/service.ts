import { setSystemTime } from 'bun:test'
import { PGlite } from '@electric-sql/pglite'
import { eq } from 'drizzle-orm'
import { drizzle } from 'drizzle-orm/pglite'
import { drizzle as onPostgres } from 'drizzle-orm/postgres-js'
import type { Sql } from 'postgres'
import { createApp, type Jobs } from '../../src/app.ts'
import { createOperatedAccount } from '../../src/auth/accounts/operator-repository.ts'
import { createSessionActivity } from '../../src/auth/sessions/activity.ts'
import { type Config, readConfig } from '../../src/config/config.ts'
import { openDatabase } from '../../src/db/client.ts'
import type { Database, Db, StatementSender } from '../../src/db/database.ts'
import { DatabaseUnavailable } from '../../src/db/errors.ts'
import { sessions, tasks, userChanges, users } from '../../src/db/schema.ts'
import { createLog, type LogFields } from '../../src/log.ts'
import { createNoticeStatements } from '../../src/mail/notices.ts'
import { purgeExpired } from '../../src/maintenance/purge.ts'
import { loadMetrics } from '../../src/metrics/load-metrics.ts'
import { createNotifications, type Notifications } from '../../src/notifications/notifications.ts'
import { createStaleSubscriberQuery } from '../../src/notifications/stale-subscribers.ts'
import type { RateLimitCounters } from '../../src/rate-limit/store.ts'
import type { Resolve } from '../../src/webhooks/destination.ts'
import { createOwnStore } from './rate-limit-stores.ts'
import {
  onBehalfOf,
  onBehalfOfJob,
  recordStatement,
  statements,
} from './recorded-statements/log.ts'

const environment = {
  DATABASE_URL: process.env.TEST_DATABASE_URL ?? 'pglite:memory',
  JWT_SECRET: 'a secret that is long enough for the tests',
  BCRYPT_COST: '4',
  // The maximum, so that a busy machine or a slow disk does not cause a 503.
  DB_TIMEOUT_MS: '25000',
  RATE_LIMIT: '100000',
  LOGIN_ATTEMPTS_PER_ADDRESS: '100000',
}

/** One database for the whole process: PGlite takes a second to open, and each test creates its own users. */
const opened = globalThis as typeof globalThis & { database?: Promise<Database> }
export const database = (): Promise<Database> => {
  opened.database ??= (async () => {
    const database = await openDatabase(readConfig(environment).database)
    await database.migrate().catch((error) => {
      if (!(error instanceof DatabaseUnavailable)) throw error
      console.error(`TEST_DATABASE_URL: no PostgreSQL responds there (${error.code})`)
      process.exit(1)
    })
    return database
  })()
  return opened.database
}

/** The database that services use: it records the statements. Statements of a test on `database()` are not recorded. */
const recordedDatabase = async (): Promise<Db> => {
  const { db, kind } = await database()
  const { $client: driver } = db as unknown as { $client: PGlite & Sql & StatementSender }
  type Send = (text: string, params?: unknown[], ...rest: unknown[]) => unknown
  const recording =
    (send: Send): Send =>
    (text, params = [], ...rest) => {
      recordStatement(text, params)
      return send.call(driver, text, params, ...rest)
    }
  const client = new Proxy(driver, {
    get: (from, name) => {
      const found = Reflect.get(from, name, from)
      return name === 'query' || name === 'unsafe' || name === 'arrays' ? recording(found) : found
    },
  })
  const drizzled =
    kind === 'postgres'
      ? onPostgres(client, { casing: 'snake_case' })
      : drizzle(client, { casing: 'snake_case' })
  return drizzled as unknown as Db
}

/** The statements that are sent while `work` runs. */
export const sentBy = async (work: () => Promise<unknown>) => {
  const from = statements.length
  await work()
  return statements.slice(from)
}

/** Moves the clock forward, for libraries too. A file that uses it or `at` needs `afterEach(realTime)`. */
export const pass = (ms: number) => void setSystemTime(Date.now() + ms)
export const at = (instant: string | number) => void setSystemTime(new Date(instant))
export const realTime = () => void setSystemTime()

/** The operations of an operator on an account, without notices. */
export const operatedAccount = (db: Db, id: string) =>
  createOperatedAccount(db, id, createNoticeStatements(db, false))

/** All rows of a user, to compare before and after. */
export const rowsOf = async (id: string) => {
  const { db } = await database()
  return {
    users: await db.select().from(users).where(eq(users.id, id)),
    changes: await db.select().from(userChanges).where(eq(userChanges.user_id, id)),
    sessions: await db.select().from(sessions).where(eq(sessions.user_id, id)).orderBy(sessions.id),
    tasks: await db.select().from(tasks).where(eq(tasks.user_id, id)).orderBy(tasks.id),
  }
}

/** A response without the parts that differ each time: the request id and the rate-limit headers. */
export const comparable = ({ status, headers, text }: Answer) => {
  const id = headers.get('x-request-id') ?? ''
  const kept = [...headers].filter(([name]) => !/^(x-request-id|ratelimit.*)$/.test(name))
  return { status, headers: Object.fromEntries(kept), text: text.replace(id, '(id)') }
}

/** A path with an id for each parameter. */
export const filled = (path: string, id = Bun.randomUUIDv7()) => path.replace(/:\w+/g, id)

type Call = { body?: unknown; token?: string | undefined; headers?: Record<string, string> }
export type Answer = {
  status: number
  headers: Headers
  text: string
  // biome-ignore lint/suspicious/noExplicitAny: a test reads bodies of any shape
  body: any
}

type Overrides = {
  /** Whether the migrations are applied. */
  isUp?: () => boolean
  /** Replaces each statement. */
  db?: () => unknown
  rateLimitStore?: RateLimitCounters
  notifications?: Notifications
  /** Instead of DNS, for webhooks. */
  resolve?: Resolve
  isReady?: () => Promise<boolean>
}

/** A service with its own settings, rate-limit store and log. All services share the database. */
export const service = async (env: Record<string, string> = {}, overrides: Overrides = {}) => {
  const config: Config = readConfig({ ...environment, ...env })
  const db = overrides.db ? createStubDb(overrides.db) : await recordedDatabase()
  const log: LogFields[] = []
  const peer = { address: '203.0.113.1' as string | undefined }
  const logger = createLog((line) => log.push(JSON.parse(line)), 'debug')
  const sessionActivity = createSessionActivity({ db, log: logger })
  let jobs: Jobs | undefined
  const notifications = createNotifications({ log: logger })
  const stopping = new AbortController()
  const app = createApp({
    config,
    db,
    onJobs: (created) => {
      jobs = created
    },
    ...(overrides.resolve && { resolve: overrides.resolve }),
    recordUse: sessionActivity.record,
    notifications: overrides.notifications ?? notifications,
    waiting: { stopSignal: stopping.signal, extendIdleTimeout: () => {} },
    rateLimitStore: overrides.rateLimitStore ?? (await createOwnStore()),
    log: logger,
    isUp: overrides.isUp ?? (() => true),
    isReady: overrides.isReady ?? (async () => true),
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
    // A streamed response sends statements while it is read.
    return onBehalfOf(request, async () => read(await app.fetch(request)))
  }

  const password = 'correct horse battery'
  /** Creates a user who is signed in. */
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

  const purge = (days: number) => onBehalfOfJob('purge', () => purgeExpired(db, days))

  const flushActivity = () => onBehalfOfJob('session activity', sessionActivity.flush)

  /** Sends the messages that are due, as the service does in the background. */
  const sendMail = () => onBehalfOfJob('mail', async () => jobs?.mailSender?.flush())

  const sendWebhooks = () => onBehalfOfJob('webhooks', async () => jobs?.webhookDispatcher.flush())

  /** Delivers the reminders that are due, of all users of the database. */
  const deliverReminders = () => onBehalfOfJob('reminders', async () => jobs?.reminderJob.flush())

  const findStale = createStaleSubscriberQuery(db)
  const pollFor = (subscribers: Parameters<typeof findStale>[0]) =>
    onBehalfOfJob('notifications', () => findStale(subscribers))

  return {
    app,
    config,
    call,
    someone,
    log,
    peer,
    purge,
    flushActivity,
    sendMail,
    pollFor,
    sendWebhooks,
    deliverReminders,
    /** Aborts when the process would stop. */
    stopping,
  }
}

/** A database that calls `respond` for every statement: it may throw, return rows, or never settle. */
export const createStubDb = (respond: () => unknown): Db => {
  const query = async () => respond()
  const client = Object.assign(Object.create(PGlite.prototype), { query, arrays: query })
  return drizzle(client, { casing: 'snake_case' }) as unknown as Db
}

export type Service = Awaited<ReturnType<typeof service>>
export type Someone = Awaited<ReturnType<Service['someone']>>

/** The beginning of a response that does not end. */
const readOneChunk = async ({ body }: Response) => {
  const reader = body?.getReader()
  const { value } = (await reader?.read()) ?? {}
  await reader?.cancel()
  return new TextDecoder().decode(value)
}

const read = async (response: Response): Promise<Answer> => {
  const isStream = response.headers.get('content-type')?.startsWith('text/event-stream')
  const text = await (isStream ? readOneChunk(response) : response.text())
  const isJson = /[/+]json/.test(response.headers.get('content-type') ?? '')
  return {
    status: response.status,
    headers: response.headers,
    text,
    body: isJson && text !== '' ? JSON.parse(text) : undefined,
  }
}
