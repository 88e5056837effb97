import { ConfigError, createEnvReader, type Environment, type EnvReader } from './environment.ts'
import { isEmbedded, readDatabaseConfig, readDataDir, readRateLimitStoreConfig } from './stores.ts'
import { readCorsOrigins, readTrustedIssuers, readTrustProxy } from './trusted-issuers.ts'

/** Everything the process takes from its surroundings, checked once, before anything opens. */
export const readConfig = (env: Environment) => {
  const read = createEnvReader(env)
  const { integer, choice, matching } = read
  const production = env.NODE_ENV === 'production'
  const database = readDatabaseConfig(read, production)

  const config = {
    host: matching('HOST', '::', /^[\w.:%-]{1,255}$/, 'an address or a host name'),
    port: integer('PORT', 3000, [0, 65_535]),
    database,
    dataDir: readDataDir(read),
    migrateOnStart: choice('MIGRATE_ON_START', 'true', ['true', 'false']) === 'true',
    jwt: {
      /** The first signs, all verify. None (embedded only): the process makes one and keeps it. */
      secrets: readJwtSecrets(read, production),
      issuer: matching('JWT_ISSUER', 'taskwarden', ...name),
      audience: matching('JWT_AUDIENCE', 'taskwarden-api', ...name),
      ttlSeconds: integer('JWT_TTL_SECONDS', 86_400, [60, 2_592_000]),
      sessionMaxDays: integer('SESSION_MAX_DAYS', 30, [1, 3650]),
    },
    trustedIssuers: readTrustedIssuers(read),
    registration: choice('REGISTRATION', 'open', ['open', 'closed']),
    passwords: {
      lengthMin: integer('PASSWORD_MIN', 8, [8, 128]),
      // Each step doubles the time: 16 is 4 s a sign-in, and under 10 is for tests only.
      bcryptCost: integer('BCRYPT_COST', 12, [production ? 10 : 4, 16]),
      queueMax: integer('BCRYPT_QUEUE_MAX', 32, [1, 10_000]),
    },
    rateLimit: {
      limit: integer('RATE_LIMIT', 100, [1, 1_000_000]),
      windowSeconds: integer('RATE_WINDOW_SECONDS', 3600, [1, 86_400]),
    },
    rateLimitStore: readRateLimitStoreConfig(read, database),
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
      /** None: there are no metrics. */
      token: read.optional('METRICS_TOKEN', /^[\w.~+/-]{16,255}=*$/, metricsTokenForm),
    },
    log: { level: choice('LOG_LEVEL', 'info', ['debug', 'info', 'warn', 'error', 'silent']) },
  }

  if (read.problems.length > 0) throw new ConfigError(read.problems)
  return deepFreeze(config)
}

export type Config = ReturnType<typeof readConfig>

/** As in `.env.example`, where it stands so that a copied file is noticed. */
const placeholderSecret = 'replace-me-with-the-output-of-openssl-rand-base64-48'
const secretBytesMin = 32
const makeSecret = 'make one with: openssl rand -base64 48'

const readJwtSecrets = (read: EnvReader, production: boolean): readonly string[] => {
  const list = read.text('JWT_SECRET')
  const databaseUrl = read.text('DATABASE_URL')
  if (list === undefined) {
    if (!isEmbedded(databaseUrl) || (production && databaseUrl === undefined))
      read.problem('JWT_SECRET', `is required with PostgreSQL; ${makeSecret}`)
    return []
  }

  const secrets = list.split(',').map((secret) => secret.trim())
  if (secrets.includes(placeholderSecret))
    read.problem('JWT_SECRET', `is the placeholder of .env.example; ${makeSecret}`)
  if (secrets.some((secret) => Buffer.byteLength(secret) < secretBytesMin))
    read.problem('JWT_SECRET', `has an entry of under ${secretBytesMin} bytes; ${makeSecret}`)
  return secrets
}

/** What a bearer token may be made of (RFC 6750 §2.1). */
const metricsTokenForm =
  '16 to 255 of the characters A-Z a-z 0-9 - . _ ~ + /; make one with: openssl rand -base64 24'

const name = [
  /^[\x21-\x7e]{1,255}$/,
  'at most 255 printable ASCII characters without spaces',
] as const

type DeepReadonly<T> = T extends object ? { readonly [Key in keyof T]: DeepReadonly<T[Key]> } : T

const deepFreeze = <T>(value: T): DeepReadonly<T> => {
  if (typeof value === 'object' && value !== null) Object.values(value).forEach(deepFreeze)
  return Object.freeze(value) as DeepReadonly<T>
}
