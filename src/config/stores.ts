import { AddressError, addressOf } from '../db/address.ts'
import type { EnvReader } from './environment.ts'

type Database =
  | {
      kind: 'postgres'
      url: string
      migrationUrl: string
      poolMax: number
      timeoutMs: number
      prepare: 'auto' | boolean
    }
  /** `dataDir` undefined: in memory, gone with the process. */
  | { kind: 'embedded'; dataDir: string | undefined; timeoutMs: number }

/** Where the data is. Every variable is read, whatever the kind, so that a wrong one is reported either way. */
export const readDatabaseConfig = (read: EnvReader, production: boolean): Database => {
  const url = read.text('DATABASE_URL')
  const migrationUrl = read.text('MIGRATION_DATABASE_URL')
  const poolMax = read.integer('DB_POOL_MAX', 10, [1, 1000])
  // A connection is closed after 30 silent seconds, unanswered ones too, and counting may take 3 of them.
  const timeoutMs = read.integer('DB_TIMEOUT_MS', 5000, [1, 25_000])
  const prepare = read.choice('DB_PREPARE', 'auto', ['auto', 'true', 'false'])

  if (migrationUrl !== undefined && !isPostgres(migrationUrl))
    read.problem('MIGRATION_DATABASE_URL', `is not ${postgresForm}; unset it for DATABASE_URL`)
  if (migrationUrl !== undefined) checkAddress(read, 'MIGRATION_DATABASE_URL', migrationUrl)
  if (url !== undefined) checkAddress(read, 'DATABASE_URL', url)
  if (url !== undefined && isPostgres(url))
    return {
      kind: 'postgres',
      url,
      migrationUrl: migrationUrl ?? url,
      poolMax,
      timeoutMs,
      prepare: prepare === 'auto' ? prepare : prepare === 'true',
    }

  if (migrationUrl !== undefined && isEmbedded(url))
    read.problem(
      'MIGRATION_DATABASE_URL',
      'has no use without a postgres:// DATABASE_URL; set both',
    )
  if (url === undefined && production)
    read.problem(
      'DATABASE_URL',
      'is required in production; set it to postgres://…, or to pglite: for the embedded database, ' +
        'which may lose data in a power cut',
    )
  if (!isEmbedded(url))
    read.problem('DATABASE_URL', `is not ${postgresForm}; nor is it pglite: or pglite:memory`)
  return {
    kind: 'embedded',
    dataDir: url === 'pglite:memory' ? undefined : readDataDir(read),
    timeoutMs,
  }
}

/** Whether this `DATABASE_URL` stands for the embedded database. */
export const isEmbedded = (url: string | undefined) =>
  url === undefined || url === 'pglite:' || url === 'pglite:memory'

const postgresForm = 'postgres://user:password@host/name, with special characters percent-encoded'

const isPostgres = (url: string) => {
  if (!/^postgres(ql)?:\/\/\S+$/.test(url)) return false
  try {
    const { username, password, pathname } = new URL(url)
    // The driver decodes these when it connects; a lone % would only fail there.
    decodeURIComponent(username + password + pathname)
    return true
  } catch {
    return false
  }
}

const checkAddress = (read: EnvReader, variable: string, url: string) => {
  try {
    if (isPostgres(url)) addressOf(url)
  } catch (error) {
    if (!(error instanceof AddressError)) throw error
    read.problem(variable, error.message)
  }
}

type RateLimitCounters =
  | { kind: 'memory' }
  | { kind: 'postgres'; url: string; prepare: 'auto' | boolean }
  | { kind: 'redis'; url: string }

/**
 * Where limits are counted. `REDIS_URL` is checked also where it has no use; that it has none is no mistake,
 * since platforms set it by themselves.
 */
export const readRateLimitStoreConfig = (
  read: EnvReader,
  database: Database,
): RateLimitCounters => {
  const kind = read.choice('RATE_LIMIT_STORE', 'memory', ['memory', 'postgres', 'redis'])
  const url = read.text('REDIS_URL')

  if (url !== undefined && !isRedis(url)) read.problem('REDIS_URL', `is not ${redisForm}`)
  if (kind === 'redis' && url === undefined)
    read.problem('REDIS_URL', `is required with RATE_LIMIT_STORE=redis; set it to ${redisForm}`)
  if (kind === 'redis') return { kind, url: url ?? '' }
  if (kind === 'memory') return { kind }

  if (database.kind === 'postgres') return { kind, url: database.url, prepare: database.prepare }
  read.problem(
    'RATE_LIMIT_STORE',
    'postgres needs a postgres:// DATABASE_URL; one process with the embedded database counts in memory',
  )
  return { kind: 'memory' }
}

const redisForm =
  'redis://user:password@host:port/number (rediss:// for TLS), with special characters percent-encoded'

const isRedis = (url: string) => {
  if (!/^(redis|valkey)s?:\/\/\S+$/.test(url)) return false
  try {
    const { hostname, username, password, pathname } = new URL(url)
    decodeURIComponent(username + password)
    return hostname !== '' && /^\/?\d{0,5}$/.test(pathname)
  } catch {
    return false
  }
}

export const readDataDir = (read: EnvReader) => read.text('DATA_DIR') ?? './data'
