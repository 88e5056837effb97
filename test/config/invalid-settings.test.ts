import { afterAll, describe, expect, test } from 'bun:test'
import { chmod, mkdir, mkdtemp, readdir, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { explainDatabaseError } from '../../src/cli/diagnostics.ts'
import { run } from '../../src/cli/run.ts'
import { readConfig } from '../../src/config/config.ts'
import { DatabaseUnavailable } from '../../src/db/errors.ts'
import { onPostgres, serverUrl } from '../support/databases.ts'
import { hasRedis, redisServer } from '../support/redis.ts'

/* Every setting with every kind of invalid value: output and exit code of `serve` and `doctor`. */

const root = await mkdtemp(join(tmpdir(), 'taskwarden-'))
afterAll(() => rm(root, { recursive: true, force: true }))
const inRoot = async (name: string, content: string) => {
  await Bun.write(join(root, name), content)
  return join(root, name)
}

type Env = Record<string, string>

/** Runs a command to its end with only these settings. */
const runCommand = async (line: string, env: Env) => {
  const [out, err]: [string[], string[]] = [[], []]
  const code = await run(line.split(' '), {
    env: { PORT: '0', DRAIN_MS: '0', ...env },
    isTerminal: false,
    print: (text) => out.push(text),
    printError: (text) => err.push(text),
    readStdin: async () => '',
    onSignal: () => {},
    exit: (code) => {
      throw new Error(`quit with ${code}`)
    },
  })
  return { code, out, err }
}

const secret = 'a secret that is long enough for the tests'
/** The label is too long for DNS, so that no resolver is asked. */
const noSuchHost = `${'x'.repeat(64)}.invalid`
const postgres: Env = { DATABASE_URL: 'postgres://db.example/tasks', JWT_SECRET: secret }
const production: Env = { NODE_ENV: 'production', ...postgres }
const issuer = {
  issuer: 'https://canary.example',
  audience: 'tasks',
  algorithms: ['EdDSA'],
  jwks_uri: 'https://canary.example/jwks',
}
const trusting = (...issuers: unknown[]) => ({ TRUSTED_ISSUERS: JSON.stringify(issuers) })
const file = await inRoot('file', 'canary')

type Wrong = [env: Env, says: RegExp]

const mail = {
  MAIL_URL: 'smtp://a:canary@mail.example',
  MAIL_FROM: 'no-reply@tasks.example',
  PUBLIC_URL: 'https://tasks.example',
}
const linkUrl = (name: string): Wrong[] =>
  ['canary', 'https://canary.example/', 'canary{token}', 'https://a/{token}/{token}'].map((url) => [
    { [name]: url },
    /is not an http or https URL that contains \{token\} once/,
  ])

const number = (name: string, ...values: string[]): Wrong[] =>
  ['canary', '-1', '1e3', ' 5', '0x10', '9'.repeat(20), ...values].map((value) => [
    { [name]: value },
    /is not a whole number from \d+ to \d+; unset it for \d+$/,
  ])
const choice = (name: string, ...values: string[]): Wrong[] =>
  ['canary', ...values].map((value) => [
    { [name]: value },
    /is not one of \w+(, \w+)+; unset it for \w+$/,
  ])
const address = (name: string, env: Env): Wrong[] => [
  ...['mysql://canary', 'canary', 'postgres://', 'postgres://canary:100%@db/x'].map(
    (url): Wrong => [
      { ...env, [name]: url },
      /is (not|neither) postgres:\/\/user:password@host\/name/,
    ],
  ),
  [
    { ...env, [name]: 'postgres://canary@db/x?sslmode=canary' },
    /has an unknown sslmode; use one of/,
  ],
  [
    { ...env, [name]: `postgres://canary@db/x?sslrootcert=${root}/canary.pem` },
    /has an sslrootcert that cannot be read \(ENOENT\); give the path of a CA in PEM$/,
  ],
  [
    { ...env, [name]: `postgres://canary@db/x?sslrootcert=${file}` },
    /has an sslrootcert that is not a certificate; give the path of a CA in PEM$/,
  ],
]
const generateOne = /; generate one with: openssl rand -base64 48$/

/** Settings without invalid values have an empty list. */
const wrong: Record<string, Wrong[]> = {
  NODE_ENV: [],
  DATA_DIR: [],
  HOST: [[{ HOST: 'canary canary' }, /is not an address or a host name; unset it for 127.0.0.1$/]],
  PORT: number('PORT', '65536'),
  DATABASE_URL: [
    ...address('DATABASE_URL', { JWT_SECRET: secret }),
    [
      { NODE_ENV: 'production', JWT_SECRET: secret },
      /is required in production; set it to postgres/,
    ],
    [{ DATABASE_URL: 'pglite:canary', JWT_SECRET: secret }, /nor pglite: or pglite:memory/],
  ],
  MIGRATION_DATABASE_URL: [
    ...address('MIGRATION_DATABASE_URL', postgres),
    [{ MIGRATION_DATABASE_URL: 'postgres://canary@db/x' }, /is used only with .*; set both$/],
  ],
  WORKERS: [
    ...['canary', '0', '-1', '65', '1e1', ' 2', 'AUTO'].map(
      (value): Wrong => [
        { WORKERS: value },
        /is not a whole number from 1 to 64, or auto; unset it for 1$/,
      ],
    ),
    [{ WORKERS: '2' }, /needs PostgreSQL, because .*; unset it for 1$/],
  ],
  DB_POOL_MAX: number('DB_POOL_MAX', '0', '1001'),
  DB_TIMEOUT_MS: number('DB_TIMEOUT_MS', '0', '25001'),
  DB_PREPARE: choice('DB_PREPARE', 'TRUE', 'yes'),
  MIGRATE_ON_START: choice('MIGRATE_ON_START', '1', 'no'),
  JWT_SECRET: [
    [{ DATABASE_URL: 'postgres://db.example/tasks' }, generateOne],
    [{ JWT_SECRET: 'canary' }, generateOne],
    [{ JWT_SECRET: `${secret},` }, generateOne],
    [{ JWT_SECRET: `${secret},canary` }, generateOne],
    [{ JWT_SECRET: 'replace-me-with-the-output-of-openssl-rand-base64-48' }, generateOne],
  ],
  JWT_ISSUER: [
    [{ JWT_ISSUER: 'canary canary' }, /is not at most 255 printable.*; unset it for \w+$/],
  ],
  JWT_AUDIENCE: [
    [{ JWT_AUDIENCE: 'canary\n' }, /is not at most 255 printable.*; unset it for [\w-]+$/],
  ],
  JWT_TTL_SECONDS: number('JWT_TTL_SECONDS', '59'),
  SESSION_MAX_DAYS: number('SESSION_MAX_DAYS', '0'),
  MAIL_URL: [
    ...[
      'canary',
      'http://canary.example',
      'smtp://',
      'smtp://canary.example/path',
      'smtp://canary.example?x=1',
      'smtp://a:%zz@canary.example',
    ].map((url): Wrong => [{ ...mail, MAIL_URL: url }, /is not smtp:\/\/user:password@host:587/]),
  ],
  MAIL_FROM: [
    [{ ...mail, MAIL_FROM: '' }, /is required with MAIL_URL/],
    ...['canary', 'a@b, c@d', 'canary <a@b', 'x\r\nBcc: a@b', '"a" <a@b>'].map(
      (from): Wrong => [
        { ...mail, MAIL_FROM: from },
        /is not an address, or a name and an address/,
      ],
    ),
  ],
  PUBLIC_URL: [
    [{ ...mail, PUBLIC_URL: '' }, /is required with MAIL_URL/],
    ...['canary', 'https://canary.example/', 'https://canary.example/path', 'ftp://canary'].map(
      (url): Wrong => [{ PUBLIC_URL: url }, /is not an origin without a path/],
    ),
  ],
  MAIL_RESET_URL: linkUrl('MAIL_RESET_URL'),
  MAIL_VERIFY_URL: linkUrl('MAIL_VERIFY_URL'),
  WEBHOOK_ALLOWED_HOSTS: ['https://canary', 'canary/path', 'canary:port', 'a b'].map(
    (hosts): Wrong => [{ WEBHOOK_ALLOWED_HOSTS: hosts }, /is not a list of hosts/],
  ),
  EMAIL_VERIFICATION: choice('EMAIL_VERIFICATION', 'Required'),
  TRUSTED_ISSUERS: [
    [{ TRUSTED_ISSUERS: 'canary' }, /is not JSON of the form/],
    [trusting({ ...issuer, canary: 1 }), /is not JSON of the form/],
    [trusting(issuer, issuer), /has an issuer twice/],
    [
      trusting({ ...issuer, issuer: 'taskwarden' }),
      /or the issuer of this service \(JWT_ISSUER\)$/,
    ],
    [trusting({ ...issuer, secret: 'canary'.repeat(8) }), /set either jwks_uri or secret$/],
    [trusting({ ...issuer, algorithms: ['HS256'] }), /has algorithms other than/],
    [trusting({ ...issuer, jwks_uri: 'http://canary.example/' }), /that is not https:\/\//],
    [
      trusting({ ...issuer, jwks_uri: undefined, algorithms: ['HS256'], secret: 'canary' }),
      /has a secret with fewer than 32 bytes; use a longer one$/,
    ],
    [
      {
        JWT_SECRET: secret,
        ...trusting({ ...issuer, jwks_uri: undefined, algorithms: ['HS256'], secret }),
      },
      /has a secret that JWT_SECRET contains; /,
    ],
  ],
  REGISTRATION: choice('REGISTRATION', 'Open'),
  PASSWORD_MIN: number('PASSWORD_MIN', '7', '129'),
  BCRYPT_COST: [
    ...number('BCRYPT_COST', '3', '17'),
    [{ ...production, BCRYPT_COST: '9' }, /is not a whole number from 10 to 16; /],
  ],
  BCRYPT_QUEUE_MAX: number('BCRYPT_QUEUE_MAX', '0'),
  RATE_LIMIT: number('RATE_LIMIT', '0'),
  RATE_WINDOW_SECONDS: number('RATE_WINDOW_SECONDS', '0'),
  RATE_LIMIT_STORE: [
    ...choice('RATE_LIMIT_STORE', 'Redis'),
    [{ RATE_LIMIT_STORE: 'postgres' }, /postgres needs a postgres:\/\/ DATABASE_URL/],
  ],
  REDIS_URL: [
    [{ RATE_LIMIT_STORE: 'redis' }, /is required with RATE_LIMIT_STORE=redis; set it to redis:/],
    ...['canary', 'http://canary', 'redis://canary/x', 'redis://canary:100%@x', 'redis://'].map(
      (url): Wrong => [{ REDIS_URL: url }, /is not redis:\/\/user:password@host:port\/number/],
    ),
  ],
  LOGIN_ATTEMPTS: number('LOGIN_ATTEMPTS', '0'),
  LOGIN_ATTEMPTS_PER_ACCOUNT: number('LOGIN_ATTEMPTS_PER_ACCOUNT', '0'),
  LOGIN_ATTEMPTS_PER_ADDRESS: number('LOGIN_ATTEMPTS_PER_ADDRESS', '0'),
  LOGIN_WINDOW_SECONDS: number('LOGIN_WINDOW_SECONDS', '0'),
  TRUST_PROXY: ['canary', '0', '11', 'Fly', '*'].map((value) => [
    { TRUST_PROXY: value },
    /is not none, fly, railway or a number of hops from 1 to 10$/,
  ]),
  CORS_ORIGINS: ['*', 'canary', 'https://canary.example/', 'https://a.example,'].map((value) => [
    { CORS_ORIGINS: value },
    /is not a comma-separated list of origins as browsers send them: https:/,
  ]),
  BODY_LIMIT: number('BODY_LIMIT', '1023'),
  TRASH_DAYS: number('TRASH_DAYS', '0'),
  IMPORT_LIMIT: number('IMPORT_LIMIT', '1023'),
  IMPORT_ROWS: number('IMPORT_ROWS', '0'),
  DRAIN_MS: number('DRAIN_MS', '600001'),
  METRICS_TOKEN: [
    [
      { METRICS_TOKEN: 'canary' },
      /is not 16 to 255 of .*; generate one with: openssl rand -base64 24$/,
    ],
  ],
  LOG_LEVEL: choice('LOG_LEVEL', 'INFO'),
}

test('every setting has a row', () => {
  const names = new Set<string>()
  const get = (_: object, name: string) => {
    names.add(name)
    return undefined
  }
  readConfig(new Proxy({}, { get }))

  expect(Object.keys(wrong).toSorted()).toEqual([...names].toSorted())
})

const rows = Object.entries(wrong).flatMap(([name, cases]) =>
  cases.map(([env, says]) => [name, env, says] as const),
)

test.each(rows)('%s in %j is reported in one line with advice', async (name, env, says) => {
  const served = await runCommand('serve', env)
  const doctored = await runCommand('doctor', env)

  const plain = { ...served, out: served.out.join('\n') }
  expect(plain).toEqual({ code: 78, out: '', err: [expect.stringMatching(says)] })
  expect(served.err[0]).toStartWith(`taskwarden: ${name}: `)
  expect(doctored).toEqual({
    code: 78,
    out: [served.err[0]?.replace('taskwarden: ', 'wrong  settings: ') ?? ''],
    err: [],
  })
  // One line without the value, which may be a secret.
  expect(served.err[0]).not.toMatch(/canary|\n/)
})

test('an empty setting counts as unset', () => {
  const empty = Object.fromEntries(Object.keys(wrong).map((name) => [name, '']))

  expect(readConfig(empty)).toEqual(readConfig({}))
})

describe('errors that only a start shows', () => {
  const line = async (env: Env) => {
    const { code, out, err } = await runCommand('serve', env)
    expect([code, err.length]).toEqual([1, 1])
    expect(err[0]).not.toContain('\n')
    expect(out.join()).not.toContain('"ready"')
    return err[0]
  }
  const memory = { DATABASE_URL: 'pglite:memory' }

  test('a port in use, an address of another machine', async () => {
    const taken = Bun.listen({ hostname: '127.0.0.1', port: 0, socket: { data: () => {} } })
    const here = { ...memory, HOST: '127.0.0.1' }

    expect(await line({ ...here, PORT: String(taken.port) })).toBe(
      `taskwarden: port ${taken.port} is in use by another process; set PORT to a free one`,
    )
    taken.stop(true)
    for (const HOST of ['203.0.113.9', noSuchHost])
      expect(await line({ ...memory, HOST })).toMatch(
        /^taskwarden: HOST is not an address of this machine \(E\w+\); unset it$/,
      )
  })

  test('a DATA_DIR that is a file or not writable', async () => {
    const why =
      /cannot be used \(\w+: E\w+\); DATA_DIR must be a directory that this user may write/
    expect(await line({ DATA_DIR: file })).toMatch(why)
    expect(await line({ DATA_DIR: join(file, 'within') })).toMatch(why)

    for (const DATA_DIR of [file, join(file, 'within')]) {
      const { code, out } = await runCommand('doctor', { DATA_DIR })
      expect(code).toBe(1)
      expect(out.join('\n')).toMatch(
        /^wrong {2}database: .* is not a directory that .*: set DATA_DIR to one$/m,
      )
    }
  })

  test('an incomplete stored secret is not used', async () => {
    for (const stored of ['', 'short']) {
      const DATA_DIR = join(root, `secret-${stored}`)
      await mkdir(join(DATA_DIR, 'cluster'), { recursive: true })
      await Bun.write(join(DATA_DIR, 'jwt-secret'), stored)

      const printed = await line({ DATA_DIR })
      const { code, out } = await runCommand('doctor', { DATA_DIR })

      expect(printed).toMatch(
        /jwt-secret contains an incomplete secret.*: delete the file to generate a new one/,
      )
      expect([code, out.join('\n')]).toEqual([1, expect.stringContaining('an incomplete secret')])
    }
  })

  test('a damaged embedded database', async () => {
    const DATA_DIR = join(root, 'damaged')
    await mkdir(join(DATA_DIR, 'cluster', 'base'), { recursive: true })
    await Bun.write(join(DATA_DIR, 'cluster', 'PG_VERSION'), '18\n')
    await chmod(join(DATA_DIR, 'cluster'), 0o700)
    const before = await readdir(join(DATA_DIR, 'cluster'))

    const why =
      /the embedded database in \S+ does not open: .*; restore a copy of the directory, or move it away/
    expect(await line({ DATA_DIR, JWT_SECRET: secret })).toMatch(why)
    const { code, out } = await runCommand('doctor', { DATA_DIR, JWT_SECRET: secret })

    expect([code, out.join('\n')]).toEqual([1, expect.stringMatching(why)])
    expect(await readdir(join(DATA_DIR, 'cluster'))).toEqual(expect.arrayContaining(before))
  }, 60_000)
})

describe('an unusable database', () => {
  test.each([
    ['ECONNREFUSED', /no server listens there: check host and port in DATABASE_URL/],
    ['ENOTFOUND', /the host does not exist: check DATABASE_URL/],
    ['28P01', /refuses the user or the password in DATABASE_URL/],
    ['3D000', /no database with this name: create it, or check DATABASE_URL/],
    ['UNABLE_TO_VERIFY_LEAF_SIGNATURE', /add its CA with sslrootcert=/],
    ['DEPTH_ZERO_SELF_SIGNED_CERT', /add its CA with sslrootcert=/],
    ['ERR_TLS_CERT_ALTNAME_INVALID', /certificate of the server is for another name/],
    ['ERR_SSL_WRONG_VERSION_NUMBER', /sslmode=disable/],
    ['ECONNRESET', /closed the connection/],
    ['deadline', /no response within DB_TIMEOUT_MS/],
    ['53300', /max_connections/],
    ['53100', /disk of the server is full/],
    ['58030', /full or failing/],
    ['57P03', /the server is starting/],
    ['55000', /accepts no connections/],
    ['25006', /the primary, not a standby/],
    ['42501', /migrate as the owner \(MIGRATION_DATABASE_URL\)/],
  ])('with %s is reported with advice', (code, what) => {
    const reason = explainDatabaseError(new DatabaseUnavailable(code))

    expect(reason).toMatch(what)
    expect(reason).toEndWith(`(${code})`)
    expect(reason).not.toContain('$URL')
  })

  test('is reported with the setting that has its address', () => {
    const reason = explainDatabaseError(
      new DatabaseUnavailable('ECONNREFUSED'),
      'MIGRATION_DATABASE_URL',
    )

    expect(reason).toContain('in MIGRATION_DATABASE_URL')
  })
})

describe.skipIf(!hasRedis)('a Redis that refuses the service', () => {
  const limits = async (REDIS_URL: string) => {
    const env = { DATABASE_URL: 'pglite:memory', RATE_LIMIT_STORE: 'redis', REDIS_URL }
    const { code, out } = await runCommand('doctor', env)
    expect(out.join('\n')).not.toContain('canary')
    return [code, out.find((line) => line.includes(' limits: '))]
  }

  test('is diagnosed: password required, wrong password, wrong database number, not Redis', async () => {
    await using redis = await redisServer('--requirepass', 'right')
    const at = (login: string, path = '') => redis.url.replace('//', `//${login}`) + path
    const other = Bun.listen({
      hostname: '127.0.0.1',
      port: 0,
      socket: { data: (socket) => void socket.end('HTTP/1.1 400 Bad Request\r\n\r\n') },
    })

    expect(await limits(at(':right@'))).toEqual([0, expect.stringMatching(/the store responds/)])
    for (const url of [at(''), at(':canary@')])
      expect(await limits(url)).toEqual([
        1,
        expect.stringMatching(/requires a password, and REDIS_URL/),
      ])
    expect(await limits(at(':right@').replace('redis:', 'rediss:'))).toEqual([
      ...[1, expect.stringMatching(/not TLS with a trusted certificate/)],
    ])
    expect(await limits(`redis://127.0.0.1:${other.port}`)).toEqual([
      ...[1, expect.stringMatching(/the server there is not Redis: check REDIS_URL/)],
    ])
    expect(await limits('redis://127.0.0.1:1')).toEqual([
      ...[1, expect.stringMatching(/no server listens there: check host and port in REDIS_URL/)],
    ])
    expect(await limits(`redis://${noSuchHost}`)).toEqual([
      ...[1, expect.stringMatching(/the host does not exist: check REDIS_URL/)],
    ])
    other.stop(true)
  }, 60_000)
})

describe.skipIf(!serverUrl)('an unsuitable PostgreSQL', () => {
  const diagnose = async (env: Env) => {
    const { code, out } = await runCommand('doctor', { JWT_SECRET: secret, ...env })
    return [code, out.filter((line) => line.startsWith('wrong')).join('\n')]
  }

  test('with the schema of a newer version', async () => {
    await using one = await onPostgres()
    await one.database.migrate()
    await one.admin`select 1`
    const { sql } = await import('drizzle-orm')
    await one.database.db.execute(
      sql`insert into drizzle.__drizzle_migrations (hash, created_at) values ('x', 9999999999999)`,
    )
    const env = { DATABASE_URL: one.url, JWT_SECRET: secret }

    expect(await diagnose(env)).toEqual([
      ...[1, expect.stringMatching(/use that version, or set MIGRATE_ON_START=false to go back$/)],
    ])
    for (const line of ['serve', 'migrate']) {
      const { code, err } = await runCommand(line, env)
      expect([code, err]).toEqual([
        ...[
          1,
          [
            expect.stringMatching(
              /use the version that migrated the database, or restore a backup$/,
            ),
          ],
        ],
      ])
    }
  })

  test('with a role that may not create tables, or an unreachable MIGRATION_DATABASE_URL', async () => {
    await using one = await onPostgres()
    const role = `limited_${Bun.randomUUIDv7().replaceAll('-', '')}`
    await one.admin.unsafe(`create role ${role} login`)
    const url = new URL(one.url)
    url.username = role

    const { code, err } = await runCommand('migrate', { DATABASE_URL: url.href })
    const nowhere = await diagnose({
      DATABASE_URL: one.url,
      MIGRATION_DATABASE_URL: 'postgres://canary@127.0.0.1:1/canary',
    })

    expect([code, err]).toEqual([
      ...[
        1,
        [expect.stringMatching(/migrate as the owner \(MIGRATION_DATABASE_URL\).*\(42501\)$/)],
      ],
    ])
    expect(nowhere).toEqual([
      ...[
        1,
        expect.stringMatching(/^wrong {2}migrations: no server listens .* MIGRATION_DATABASE_URL/),
      ],
    ])
    await one.admin.unsafe(`drop role ${role}`)
  })

  test('without migrations and with MIGRATE_ON_START=false', async () => {
    await using one = await onPostgres()

    expect(await diagnose({ DATABASE_URL: one.url, MIGRATE_ON_START: 'false' })).toEqual([
      ...[1, expect.stringMatching(/missing; run: taskwarden migrate$/)],
    ])
    const { code, err } = await runCommand('user list', { DATABASE_URL: one.url })
    expect([code, err]).toEqual([
      ...[1, ['taskwarden: the schema is not up to date; run: taskwarden migrate']],
    ])
  })
})
