import { expect, test } from 'bun:test'
import { availableParallelism } from 'node:os'
import { readConfig } from '../../src/config/config.ts'
import { ConfigError } from '../../src/config/environment.ts'
import { idleSeconds } from '../../src/http/server.ts'

const secret = 'a secret of more than thirty-two bytes'
const postgres = { DATABASE_URL: 'postgres://ada:lovelace@db.example/tasks', JWT_SECRET: secret }

const problemsOf = (env: Record<string, string | undefined>): string[] => {
  try {
    readConfig(env)
    return []
  } catch (error) {
    if (error instanceof ConfigError) return error.problems
    throw error
  }
}

/** The variables of `.env.example`. */
const example = Object.fromEntries(
  [...(await Bun.file('.env.example').text()).matchAll(/^([A-Z_]+)=(.*)$/gm)].map(
    ([, name = '', value = '']) => [name, value],
  ),
)

/** The variables that the code reads. */
const namesRead = () => {
  const names = new Set<string>()
  const get = (_: object, name: string) => {
    names.add(name)
    return undefined
  }
  readConfig(new Proxy({}, { get }))
  return names
}

test('without variables, the embedded database runs with the defaults of the contract', () => {
  expect(readConfig({})).toEqual({
    host: '127.0.0.1',
    port: 3000,
    workers: 1,
    database: { kind: 'embedded', dataDir: './data', timeoutMs: 5000 },
    dataDir: './data',
    links: {
      publicUrl: 'http://localhost:3000',
      isPublicUrlSet: false,
      resetUrl: 'http://localhost:3000/account/reset#token={token}',
      verifyUrl: 'http://localhost:3000/account/verify#token={token}',
    },
    mail: {
      transport: { kind: 'files', folder: 'data/outbox' },
      from: 'Taskwarden <taskwarden@localhost>',
      isVerificationRequired: false,
    },
    migrateOnStart: true,
    jwt: {
      secrets: [],
      issuer: 'taskwarden',
      audience: 'taskwarden-api',
      ttlSeconds: 86_400,
      sessionMaxDays: 30,
    },
    trustedIssuers: [],
    registration: 'open',
    passwords: {
      lengthMin: 8,
      bcryptCost: 12,
      hashingMax: Math.max(1, availableParallelism() - 1),
      queueMax: 32,
    },
    rateLimit: { limit: 100, windowSeconds: 3600 },
    rateLimitStore: { kind: 'memory' },
    notifications: { kind: 'none' },
    webhooks: { allowedHosts: [], allowsLoopback: true },
    signIn: {
      attempts: 10,
      attemptsPerAccount: 100,
      attemptsPerAddress: 50,
      windowSeconds: 900,
    },
    trustProxy: 'none',
    corsOrigins: [],
    bodyLimit: 65_536,
    trashDays: 30,
    importing: { bytesMax: 10_485_760, rowsMax: 50_000 },
    drainMs: 5000,
    metrics: { token: undefined },
    log: { level: 'info' },
    misspelled: [],
  })
})

test('in production the default address is every address, otherwise loopback', () => {
  expect(readConfig({ ...postgres, NODE_ENV: 'production' }).host).toBe('::')
  expect(readConfig({ ...postgres, NODE_ENV: 'development' }).host).toBe('127.0.0.1')
  expect(readConfig({ ...postgres, HOST: '0.0.0.0' }).host).toBe('0.0.0.0')
})

test.each([
  ['CORS_ORIGIN', 'CORS_ORIGINS'],
  ['RATE_LIMITT', 'RATE_LIMIT'],
  ['DATABSE_URL', 'DATABASE_URL'],
  ['rate_limit', 'RATE_LIMIT'],
  ['JWT-SECRET', 'JWT_SECRET'],
  ['TASKWARDEN_TRUST_PROXY', 'TRUST_PROXY'],
])('%s is reported as a probable %s', (variable, likely) => {
  expect(readConfig({ [variable]: 'x' }).misspelled).toEqual([{ variable, likely }])
})

test('settings, and names that are close to none, are not reported', () => {
  const others = { HOME: '/root', HOSTNAME: 'x', PATH: '/bin', PORTS: '1', LOGNAME: 'x', TERM: 'x' }

  expect(readConfig({ ...others, RATE_LIMIT: '5', NODE_ENV: 'test' }).misspelled).toEqual([])
  expect(
    readConfig(Object.fromEntries(Object.keys(process.env).map((name) => [name, '']))).misspelled,
  ).toEqual([])
})

test('.env.example and the code name the same variables with the same defaults', () => {
  const read = namesRead()
  // Set for all programs of the process, not for this one.
  read.delete('NODE_ENV')

  expect(Object.keys(example).sort()).toEqual([...read].sort())
  expect(readConfig(example)).toEqual(readConfig({}))
  expect(readConfig({ ...example, ...postgres })).toEqual(readConfig(postgres))
})

test('.env.example documents every variable, and has every default', () => {
  const empty = Object.keys(example).filter((name) => example[name] === '')

  expect(empty).toEqual([
    'HOST',
    'DATABASE_URL',
    'MIGRATION_DATABASE_URL',
    'JWT_SECRET',
    'MAIL_URL',
    'MAIL_FROM',
    'PUBLIC_URL',
    'MAIL_RESET_URL',
    'MAIL_VERIFY_URL',
    'WEBHOOK_ALLOWED_HOSTS',
    'TRUSTED_ISSUERS',
    'REDIS_URL',
    'CORS_ORIGINS',
    'METRICS_TOKEN',
  ])
})

test('the placeholder secret of earlier versions of .env.example is refused, alone and in a list', () => {
  const placeholder = 'replace-me-with-the-output-of-openssl-rand-base64-48'

  for (const JWT_SECRET of [placeholder, `${secret},${placeholder}`])
    for (const DATABASE_URL of [undefined, postgres.DATABASE_URL]) {
      const [problem, ...others] = problemsOf({ JWT_SECRET, DATABASE_URL })
      expect(problem).toStartWith('JWT_SECRET: is the placeholder of .env.example')
      expect(problem).toContain('openssl rand -base64 48')
      expect(others).toEqual([])
    }
})

test('every secret has at least 32 bytes of UTF-8', () => {
  expect(problemsOf({ JWT_SECRET: 'x'.repeat(31) })).toHaveLength(1)
  expect(problemsOf({ JWT_SECRET: `${secret},${'x'.repeat(31)}` })).toHaveLength(1)
  expect(problemsOf({ JWT_SECRET: `${secret},` })).toHaveLength(1)

  expect(readConfig({ JWT_SECRET: 'é'.repeat(16) }).jwt.secrets).toEqual(['é'.repeat(16)])
  expect(readConfig({ JWT_SECRET: `${secret}, ${'x'.repeat(32)}` }).jwt.secrets).toEqual([
    secret,
    'x'.repeat(32),
  ])
})

test('PostgreSQL requires a secret, and the message says how to generate one', () => {
  const [problem] = problemsOf({ DATABASE_URL: postgres.DATABASE_URL })

  expect(problem).toStartWith('JWT_SECRET: is required')
  expect(problem).toContain('openssl rand -base64 48')
})

test('DATABASE_URL selects the database', () => {
  const kindOf = (DATABASE_URL: string) =>
    readConfig({ DATABASE_URL, JWT_SECRET: secret, DATA_DIR: '/var/tasks' }).database

  expect(kindOf('postgresql://db/tasks')).toEqual({
    kind: 'postgres',
    url: 'postgresql://db/tasks',
    migrationUrl: 'postgresql://db/tasks',
    poolMax: 10,
    timeoutMs: 5000,
    prepare: 'auto',
  })
  expect(kindOf('')).toEqual({ kind: 'embedded', dataDir: '/var/tasks', timeoutMs: 5000 })
  expect(kindOf('pglite:')).toEqual({ kind: 'embedded', dataDir: '/var/tasks', timeoutMs: 5000 })
  expect(kindOf('pglite:memory')).toEqual({
    kind: 'embedded',
    dataDir: undefined,
    timeoutMs: 5000,
  })
})

test('in production, the embedded database must be selected by name', () => {
  const [problem] = problemsOf({ NODE_ENV: 'production' })
  expect(problem).toStartWith('DATABASE_URL: is required in production')
  expect(problem).toContain('pglite:')

  expect(problemsOf({ NODE_ENV: 'production', DATABASE_URL: 'pglite:' })).toEqual([])
  expect(problemsOf({ NODE_ENV: 'production', ...postgres })).toEqual([])
})

test('MIGRATION_DATABASE_URL is accepted only for PostgreSQL', () => {
  const MIGRATION_DATABASE_URL = 'postgres://owner@db.example/tasks'

  expect(readConfig({ ...postgres, MIGRATION_DATABASE_URL }).database).toMatchObject({
    url: postgres.DATABASE_URL,
    migrationUrl: MIGRATION_DATABASE_URL,
  })
  expect(problemsOf({ MIGRATION_DATABASE_URL })).toHaveLength(1)
  expect(problemsOf({ ...postgres, MIGRATION_DATABASE_URL: 'pglite:' })).toHaveLength(1)
})

test.each([
  'mysql://db/tasks',
  'postgres:db',
  'postgres://',
  'postgres://a b@db/tasks',
  'postgres://ada:100%@db/tasks',
  'postgres://ada:p@ss:word/@db:port/tasks',
  'pglite:elsewhere',
  'db.example',
])('DATABASE_URL=%s is refused', (DATABASE_URL) => {
  expect(problemsOf({ DATABASE_URL, JWT_SECRET: secret })).toEqual([
    expect.stringContaining('DATABASE_URL: '),
  ])
})

/** WORKERS may also be a word: `invalid-settings.test.ts`. */
const numbers = Object.keys(example).filter(
  (name) => /^\d+$/.test(example[name] ?? '') && name !== 'WORKERS',
)

test.each(numbers)('%s accepts only whole numbers in its range', (name) => {
  const bad = [
    '1e3',
    ' 5',
    '5 ',
    '0x10',
    '+5',
    '-1',
    '5.0',
    '05',
    '1_000',
    '٣',
    'NaN',
    '9'.repeat(30),
  ]

  for (const value of bad)
    expect(problemsOf({ [name]: value })).toEqual([
      expect.stringMatching(new RegExp(`^${name}: is not a whole number from \\d+ to \\d+; `)),
    ])
})

test.each([
  ['PORT', 0, 65_535],
  ['PASSWORD_MIN', 8, 128],
  ['BCRYPT_COST', 4, 16],
  ['RATE_LIMIT', 1, 1_000_000],
  ['DRAIN_MS', 0, 600_000],
])('%s accepts %d to %d', (name, min, max) => {
  const accepted = [min - 1, min, max, max + 1].map(
    (value) => problemsOf({ [name]: `${value}` }).length === 0,
  )

  expect(accepted).toEqual([false, true, true, false])
})

test('a bcrypt cost for tests is refused in production', () => {
  const production = { NODE_ENV: 'production', ...postgres }

  expect(problemsOf({ ...production, BCRYPT_COST: '9' })).toHaveLength(1)
  expect(problemsOf({ ...production, BCRYPT_COST: '10' })).toEqual([])
})

test('choices accept exactly their own values', () => {
  const words = {
    DB_PREPARE: 'TRUE',
    MIGRATE_ON_START: '1',
    REGISTRATION: 'Open',
    LOG_LEVEL: 'all',
  }

  for (const [name, value] of Object.entries(words))
    expect(problemsOf({ [name]: value })).toEqual([expect.stringContaining(`${name}: is not one`)])
  expect(readConfig({ ...postgres, DB_PREPARE: 'false' }).database).toMatchObject({
    prepare: false,
  })
})

test('TRUST_PROXY is none, a platform or a number of hops', () => {
  for (const [TRUST_PROXY, expected] of [
    ['fly', 'fly'],
    ['railway', 'railway'],
    ['1', 1],
    ['10', 10],
  ] as const)
    expect(readConfig({ TRUST_PROXY }).trustProxy).toBe(expected)
  for (const TRUST_PROXY of ['0', '11', '-1', '1e0', 'true', 'Fly', '*'])
    expect(problemsOf({ TRUST_PROXY })).toHaveLength(1)
})

test('all invalid variables are reported together, without their values', () => {
  const canary = 'canary-7f3a\n'
  const wrong = Object.fromEntries(
    Object.keys(example)
      .filter((name) => name !== 'DATA_DIR')
      .map((name) => [name, canary]),
  )

  const problems = problemsOf(wrong)

  expect(problems.map((line) => line.split(':')[0]).sort()).toEqual(Object.keys(wrong).sort())
  expect(problems.join()).not.toContain('canary')
  expect(problems.join()).not.toContain('\n')
})

test('the configuration is frozen at every depth', () => {
  const config = readConfig({ JWT_SECRET: secret })

  expect(() => Object.assign(config.rateLimit, { limit: 1_000 })).toThrow()
  expect(() => Object.assign(config.jwt.secrets, { 0: 'another' })).toThrow()
  expect(() => Object.assign(config, { port: 1 })).toThrow()
})

test('METRICS_TOKEN is long and valid in a header', () => {
  for (const token of ['x'.repeat(15), `${'x'.repeat(16)} x`, 'é'.repeat(16), 'x'.repeat(256)]) {
    const [problem, ...others] = problemsOf({ METRICS_TOKEN: token })
    expect(problem).toStartWith('METRICS_TOKEN: is not 16 to 255')
    expect(problem).not.toContain(token)
    expect(others).toEqual([])
  }

  const token = 'Az09-._~+/xxxxxx=='
  expect(readConfig({ METRICS_TOKEN: token }).metrics).toEqual({ token })
  expect(readConfig({ METRICS_TOKEN: '' }).metrics).toEqual({ token: undefined })
})

const ranges: Record<string, [least: number, most: number]> = {
  PORT: [0, 65_535],
  JWT_TTL_SECONDS: [60, 2_592_000],
  SESSION_MAX_DAYS: [1, 3650],
  PASSWORD_MIN: [8, 128],
  BCRYPT_COST: [4, 16],
  BCRYPT_QUEUE_MAX: [1, 10_000],
  RATE_LIMIT: [1, 1_000_000],
  RATE_WINDOW_SECONDS: [1, 86_400],
  LOGIN_ATTEMPTS: [1, 1_000_000],
  LOGIN_ATTEMPTS_PER_ACCOUNT: [1, 1_000_000],
  LOGIN_ATTEMPTS_PER_ADDRESS: [1, 1_000_000],
  LOGIN_WINDOW_SECONDS: [1, 86_400],
  BODY_LIMIT: [1024, 16_777_216],
  TRASH_DAYS: [1, 3650],
  IMPORT_LIMIT: [1024, 104_857_600],
  IMPORT_ROWS: [1, 1_000_000],
  DRAIN_MS: [0, 600_000],
  DB_POOL_MAX: [1, 1000],
  DB_TIMEOUT_MS: [1, 25_000],
}

test('rate limit and statement deadlines end before the idle timeout of the server', () => {
  const [, latestMs = 0] = ranges.DB_TIMEOUT_MS ?? []
  const countingMs = 3000

  expect(latestMs + countingMs).toBeLessThan(idleSeconds * 1000)
})

test('every number has a range that includes both ends', () => {
  // A variable that accepts 1 but not -1 is a number; TRUST_PROXY and WORKERS are a number or a name.
  const numbers = [...namesRead()].filter((name) =>
    problemsOf({ [name]: '-1' }).some((problem) => /from \d+ to \d+/.test(problem)),
  )
  const isRefused = (name: string, value: number) =>
    problemsOf({ [name]: String(value) }).some((problem) => problem.startsWith(`${name}: `))

  const mixed = ['TRUST_PROXY', 'WORKERS']
  expect(numbers.filter((name) => !mixed.includes(name)).sort()).toEqual(Object.keys(ranges).sort())
  for (const [name, [least, most]] of Object.entries(ranges))
    expect([name, ...[least - 1, least, most, most + 1].map((n) => isRefused(name, n))]).toEqual([
      ...[name, true, false, false, true],
    ])
  expect(isRefused('TRUST_PROXY', 0)).toBe(true)
  expect(isRefused('TRUST_PROXY', 10)).toBe(false)
  expect(isRefused('TRUST_PROXY', 11)).toBe(true)
})
