import type { DatabaseConfig } from './database.ts'
import type { EnvReader } from './environment.ts'

type RateLimitStoreConfig =
  | { kind: 'memory' }
  | { kind: 'postgres'; url: string; prepare: 'auto' | boolean }
  | { kind: 'redis'; url: string }

/**
 * `REDIS_URL` is checked even if it is not used. An unused one is not an error, because platforms set it by
 * themselves.
 */
export const readRateLimitStoreConfig = (
  read: EnvReader,
  database: DatabaseConfig,
): RateLimitStoreConfig => {
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
    'postgres needs a postgres:// DATABASE_URL; with the embedded database, set it to memory',
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
