import { availableParallelism } from 'node:os'
import { readDatabaseConfig, readDataDir } from './database.ts'
import { ConfigError, createEnvReader, type Environment } from './environment.ts'
import { readJwtSecrets } from './jwt-secret.ts'
import { readLinkConfig, readMailConfig } from './mail.ts'
import { findMisspelled } from './misspelled.ts'
import { readCorsOrigins, readTrustProxy } from './network.ts'
import { readNotificationConfig } from './notifications.ts'
import { readRateLimitStoreConfig } from './rate-limit-store.ts'
import { readTrustedIssuers } from './trusted-issuers.ts'
import { readWebhookConfig } from './webhooks.ts'
import { readWorkerCount } from './workers.ts'

/** All settings of the process, checked before anything is opened; `ConfigError` reports all invalid ones. */
export const readConfig = (env: Environment) => {
  const read = createEnvReader(env)
  const { integer, choice, matching } = read
  const production = env.NODE_ENV === 'production'
  const database = readDatabaseConfig(read, production)
  const dataDir = readDataDir(read)
  const port = integer('PORT', 3000, [0, 65_535])

  const config = {
    host: matching('HOST', production ? '::' : loopback, hostForm, 'an address or a host name'),
    port,
    workers: readWorkerCount(read, database),
    database,
    dataDir,
    migrateOnStart: choice('MIGRATE_ON_START', 'true', ['true', 'false']) === 'true',
    jwt: {
      /** The first signs, all verify. Empty with the embedded database: `serve` creates and stores one. */
      secrets: readJwtSecrets(read, production),
      issuer: matching('JWT_ISSUER', 'taskwarden', ...name),
      audience: matching('JWT_AUDIENCE', 'taskwarden-api', ...name),
      ttlSeconds: integer('JWT_TTL_SECONDS', 86_400, [60, 2_592_000]),
      sessionMaxDays: integer('SESSION_MAX_DAYS', 30, [1, 3650]),
    },
    trustedIssuers: readTrustedIssuers(read),
    links: readLinkConfig(read, port),
    mail: readMailConfig(read, database, dataDir),
    registration: choice('REGISTRATION', 'open', ['open', 'closed']),
    passwords: {
      lengthMin: integer('PASSWORD_MIN', 8, [8, 128]),
      // Each step doubles the time: a sign-in at 16 takes 4 s. Less than 10 is for tests only.
      bcryptCost: integer('BCRYPT_COST', 12, [production ? 10 : 4, 16]),
      /** One core stays free for task requests. */
      hashingMax: Math.max(1, availableParallelism() - 1),
      queueMax: integer('BCRYPT_QUEUE_MAX', 32, [1, 10_000]),
    },
    rateLimit: {
      limit: integer('RATE_LIMIT', 100, [1, 1_000_000]),
      windowSeconds: integer('RATE_WINDOW_SECONDS', 3600, [1, 86_400]),
    },
    rateLimitStore: readRateLimitStoreConfig(read, database),
    notifications: readNotificationConfig(read, database),
    webhooks: readWebhookConfig(read, database),
    signIn: {
      attempts: integer('LOGIN_ATTEMPTS', 10, [1, 1_000_000]),
      attemptsPerAccount: integer('LOGIN_ATTEMPTS_PER_ACCOUNT', 100, [1, 1_000_000]),
      attemptsPerAddress: integer('LOGIN_ATTEMPTS_PER_ADDRESS', 50, [1, 1_000_000]),
      windowSeconds: integer('LOGIN_WINDOW_SECONDS', 900, [1, 86_400]),
    },
    trustProxy: readTrustProxy(read),
    corsOrigins: readCorsOrigins(read),
    /** Bytes. */
    bodyLimit: integer('BODY_LIMIT', 65_536, [1024, 16_777_216]),
    trashDays: integer('TRASH_DAYS', 30, [1, 3650]),
    importing: {
      bytesMax: integer('IMPORT_LIMIT', 10_485_760, [1024, 104_857_600]),
      rowsMax: integer('IMPORT_ROWS', 50_000, [1, 1_000_000]),
    },
    drainMs: integer('DRAIN_MS', 5000, [0, 600_000]),
    metrics: {
      /** Undefined: no metrics. */
      token: read.optional('METRICS_TOKEN', /^[\w.~+/-]{16,255}=*$/, metricsTokenForm),
    },
    log: { level: choice('LOG_LEVEL', 'info', ['debug', 'info', 'warn', 'error', 'silent']) },
  }

  if (read.problems.length > 0) throw new ConfigError(read.problems)
  return deepFreeze({ ...config, misspelled: findMisspelled(env, read.known) })
}

/** The default during development: other machines cannot connect. */
export const loopback = '127.0.0.1'
const hostForm = /^[\w.:%-]{1,255}$/

export type Config = ReturnType<typeof readConfig>

/** The syntax of a bearer token (RFC 6750 §2.1). */
const metricsTokenForm =
  '16 to 255 of the characters A-Z a-z 0-9 - . _ ~ + /; generate one with: openssl rand -base64 24'

const name = [
  /^[\x21-\x7e]{1,255}$/,
  'at most 255 printable ASCII characters without spaces',
] as const

type DeepReadonly<T> = T extends object ? { readonly [Key in keyof T]: DeepReadonly<T[Key]> } : T

const deepFreeze = <T>(value: T): DeepReadonly<T> => {
  if (typeof value === 'object' && value !== null) Object.values(value).forEach(deepFreeze)
  return Object.freeze(value) as DeepReadonly<T>
}
