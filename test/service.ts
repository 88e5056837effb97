import { createApp } from '../src/app.ts'
import { type Config, readConfig } from '../src/config.ts'
import { memoryCounters } from '../src/counters/memory.ts'
import { connect, type Database } from '../src/db/client.ts'
import { type Facts, logTo } from '../src/http/log.ts'

/** Everything that was sent to the database by any service of this process. */
export const statements: { statement: string; params: unknown[] }[] = []

const environment = {
  DATABASE_URL: process.env.TEST_DATABASE_URL ?? 'pglite:memory',
  JWT_SECRET: 'a secret that is long enough for the tests',
  BCRYPT_COST: '4',
  RATE_LIMIT: '100000',
  LOGIN_ATTEMPTS_PER_ADDRESS: '100000',
}

/** One for the whole process: PGlite takes a second to open, and tests keep apart by making their own users. */
const opened = globalThis as typeof globalThis & { database?: Promise<Database> }
export const database = (): Promise<Database> => {
  opened.database ??= (async () => {
    const database = await connect(readConfig(environment).database, (statement, params) =>
      statements.push({ statement, params }),
    )
    await database.migrate()
    return database
  })()
  return opened.database
}

type Call = { body?: unknown; token?: string | undefined; headers?: Record<string, string> }
export type Answer = {
  status: number
  headers: Headers
  text: string
  // biome-ignore lint/suspicious/noExplicitAny: a test reads what a client would read
  body: any
}

/** A service of its own: own settings, own counters, own log; the database is everybody's. */
export const service = async (env: Record<string, string> = {}) => {
  const config: Config = readConfig({ ...environment, ...env })
  const { db } = await database()
  const log: Facts[] = []
  const peer = { address: '203.0.113.1' as string | undefined }
  const app = createApp({
    config,
    db,
    counters: memoryCounters(),
    log: logTo((line) => log.push(JSON.parse(line)), 'debug'),
    isReady: async () => true,
    peerOf: () => peer.address,
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
    return read(await app.fetch(request))
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

  return { app, config, call, someone, log, peer }
}

export type Service = Awaited<ReturnType<typeof service>>
export type Someone = Awaited<ReturnType<Service['someone']>>

const read = async (response: Response): Promise<Answer> => {
  const text = await response.text()
  const isJson = response.headers.get('content-type')?.includes('json')
  return {
    status: response.status,
    headers: response.headers,
    text,
    body: isJson && text !== '' ? JSON.parse(text) : undefined,
  }
}
