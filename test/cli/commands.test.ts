import { afterAll, describe, expect, test } from 'bun:test'
import { mkdtemp, readdir, rm } from 'node:fs/promises'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { eq } from 'drizzle-orm'
import { decodeJwt, SignJWT } from 'jose'
import { createAccountDirectory } from '../../src/auth/accounts/operator-repository.ts'
import { createFederatedUserRepository } from '../../src/auth/issuers/repository.ts'
import { run } from '../../src/cli/run.ts'
import { openDatabase } from '../../src/db/client.ts'
import { mailMessages, sessions } from '../../src/db/schema.ts'
import { locks } from '../support/locks.ts'
import {
  comparable,
  createStubDb,
  database,
  operatedAccount,
  rowsOf,
  service,
} from '../support/service.ts'
import { startSmtp } from '../support/smtp.ts'

/* The operator commands in this process. test/binary/commands.test.ts runs them with the binary. */

const folders: string[] = []
afterAll(() => Promise.all(folders.map((folder) => rm(folder, { recursive: true, force: true }))))
const folder = async () => {
  const path = await mkdtemp(join(tmpdir(), 'taskwarden-'))
  folders.push(path)
  return path
}

/** Runs a command with only these settings. */
const command = async (line: string, env: Record<string, string> = {}, readStdin = '') => {
  const out: string[] = []
  const err: string[] = []
  const code = await run(line === '' ? [] : line.split(' '), {
    env,
    isTerminal: false,
    print: (text) => out.push(text),
    printError: (text) => err.push(text),
    readStdin: async () => readStdin,
    onSignal: () => {},
    exit: (code) => {
      throw new Error(`quit with ${code}`)
    },
  })
  return { code, out, err }
}

const timesOver = <T>(count: number, work: (at: number) => Promise<T>) =>
  Promise.all(Array.from({ length: count }, (_, at) => work(at)))

describe('a command', () => {
  test.each(['--help', '-h', 'user --help', 'serve --help'])(
    '%s prints the commands',
    async (line) => {
      const { code, out, err } = await command(line)

      expect([code, err]).toEqual([0, []])
      for (const name of 'serve migrate doctor healthcheck user backup restore move-to purge openapi'.split(
        ' ',
      ))
        expect(out.join('\n')).toMatch(new RegExp(`^  ${name}\\b`, 'm'))
    },
  )

  test('--version is the version of package.json', async () => {
    const { version } = await Bun.file('package.json').json()

    expect(await command('--version')).toEqual({ code: 0, out: [`taskwarden ${version}`], err: [] })
  })

  test.each([
    ['nothing', /no command "nothing"/],
    ['toString', /no command "toString"/],
    ['--verbose', /no command "--verbose"/],
    ['migrate now', /"now" is an unexpected argument/],
    ['serve --port=1', /--port/],
    ['user', /user takes list, create, reset-password, disable, enable or delete/],
    ['user drop a@b', /not "drop"/],
    ['user delete', /e-mail or id is missing/],
    ['user delete a@b c@d', /"c@d" is an unexpected argument/],
    ['user list --all', /--all/],
  ])('%s exits with 2 and one line, before anything is opened', async (line, what) => {
    const { code, out, err } = await command(line, { DATABASE_URL: 'nonsense' })

    expect([code, out, err.length]).toEqual([2, [], 1])
    expect(err[0]).toMatch(what)
    expect(err[0]).toMatch(/^taskwarden: .*; see taskwarden --help$/)
  })

  test.each(['serve', 'migrate', 'purge', 'user list', 'doctor'])(
    '%s with wrong settings is 78, and names each of them',
    async (line) => {
      const { code, out, err } = await command(line, { PORT: 'x', DATABASE_URL: 'mysql://canary' })

      const said = [...out, ...err].join('\n')
      expect(code).toBe(78)
      expect(said).toContain('PORT: ')
      expect(said).toContain('DATABASE_URL: ')
      expect(said).not.toContain('canary')
    },
  )

  test.each(['migrate', 'purge', 'user list'])(
    '%s without a database exits with 1 and one line without the address',
    async (line) => {
      const DATABASE_URL = 'postgres://canary:canary@127.0.0.1:1/canary'
      const { code, out, err } = await command(line, { DATABASE_URL })

      expect([code, out]).toEqual([1, []])
      expect(err).toEqual([
        'taskwarden: the database cannot be used: no server listens there: check host and port in DATABASE_URL, and that the server runs (ECONNREFUSED)',
      ])
    },
  )

  test.each(['purge', 'user list', 'user delete ada@example.test'])(
    '%s before the migrations says which command to run',
    async (line) => {
      const { code, err } = await command(line, { DATABASE_URL: 'pglite:memory' })

      expect(code).toBe(1)
      expect(err).toEqual(['taskwarden: the schema is not up to date; run: taskwarden migrate'])
    },
  )
})

test('openapi prints the document of /docs/json with the default limits, without settings', async () => {
  // The document shows the configured limits.
  const { call } = await service({ RATE_LIMIT: '100' })

  const { code, out } = await command('openapi')

  const served = await call('GET', '/docs/json')
  expect(code).toBe(0)
  expect(out).toEqual([served.text])
})

describe('healthcheck', () => {
  const serving = (status: number) =>
    Bun.serve({ port: 0, hostname: '127.0.0.1', fetch: () => new Response('', { status }) })

  test('exits with 0 if /health of the service is 200', async () => {
    const asked: string[] = []
    const server = Bun.serve({
      port: 0,
      hostname: '127.0.0.1',
      fetch: ({ method, url }) => {
        asked.push(`${method} ${new URL(url).pathname}`)
        return new Response('ok')
      },
    })

    // It ignores the proxy of the environment and invalid settings that it does not use.
    const env = { PORT: String(server.port), HTTP_PROXY: 'http://127.0.0.1:1', JWT_SECRET: 'short' }
    expect(await command('healthcheck', env)).toEqual({ code: 0, out: [], err: [] })
    expect(await command('healthcheck', { ...env, HOST: '127.0.0.1' })).toMatchObject({ code: 0 })
    expect(asked).toEqual(['GET /health', 'GET /health'])
    await server.stop(true)
  })

  test('exits with 1 for another status, without a response, and with PORT=0', async () => {
    const broken = serving(503)
    const mute = createServer((socket) => void socket.end())
    await new Promise<void>((resolve) => mute.listen(0, '127.0.0.1', resolve))
    const { port } = mute.address() as { port: number }

    const answers = await Promise.all(
      [broken.port, port, 1, 0, 'x'].map((at) => command('healthcheck', { PORT: String(at) })),
    )
    await broken.stop(true)
    mute.close()

    expect(answers.map(({ code }) => code)).toEqual([1, 1, 1, 1, 1])
    expect(answers.map(({ err: [line] }) => line)).toEqual([
      'taskwarden: /health returned 503 instead of 200',
      `taskwarden: no response on port ${port} (closed)`,
      'taskwarden: no response on port 1 (ECONNREFUSED)',
      'taskwarden: PORT is 0: the port of the service is unknown',
      expect.stringContaining('PORT: is not a whole number'),
    ])
  })
})

describe('doctor', () => {
  const secret = 'a secret that is long enough for the tests'
  const settings = process.env.TEST_DATABASE_URL
    ? { DATABASE_URL: process.env.TEST_DATABASE_URL, JWT_SECRET: secret }
    : { DATABASE_URL: 'pglite:memory' }

  test('reports no error for a healthy service', async () => {
    await database()

    const { code, out, err } = await command('doctor', settings)

    expect([code, err]).toEqual([0, []])
    expect(out.join('\n')).toMatch(/^ok +database: PostgreSQL \d+\.\d+ responds in \d+ ms$/m)
    expect(out.join('\n')).toMatch(/^(ok|note) +migrations: /m)
    expect(out.join('\n')).toMatch(/^ok +clock: \d+ ms from the clock of the database$/m)
    expect(out.join('\n')).not.toContain(secret)
  })

  test('reports missing migrations as wrong with MIGRATE_ON_START=false', async () => {
    const { code, out } = await command('doctor', {
      DATABASE_URL: 'pglite:memory',
      MIGRATE_ON_START: 'false',
    })

    expect(code).toBe(1)
    expect(out.join('\n')).toMatch(
      /^wrong +migrations: 0000_core, .* missing; run: taskwarden migrate$/m,
    )
  })

  test.each([
    [
      'postgres://a:canary@127.0.0.1:1/x',
      /no server listens there.*DATABASE_URL.*\(ECONNREFUSED\)/,
    ],
    // The label is too long for DNS, so that no resolver is asked.
    [`postgres://a:canary@${'x'.repeat(64)}.invalid/x`, /the host does not exist.*\(E\w+\)/],
  ])('gives advice for %s', async (DATABASE_URL, what) => {
    const { code, out } = await command('doctor', { DATABASE_URL, JWT_SECRET: secret })

    const line = out.find((one) => one.includes(' database: '))
    expect(code).toBe(1)
    expect(line).toMatch(/^wrong {2}database: /)
    expect(line).toMatch(what)
    expect(out.join('\n')).not.toContain('canary')
  })

  test('reports a rate-limit store that does not respond as wrong, without its address', async () => {
    const { code, out } = await command('doctor', {
      ...settings,
      RATE_LIMIT_STORE: 'redis',
      REDIS_URL: 'redis://:canary@127.0.0.1:1',
    })

    expect(code).toBe(1)
    expect(out.at(-1)).toMatch(
      /^wrong {2}limits: .*no server listens there: check host and port in REDIS_URL/,
    )
    expect(out.join('\n')).not.toContain('canary')
  })

  test('creates no database', async () => {
    const DATA_DIR = await folder()

    const { code, out } = await command('doctor', { DATA_DIR })

    expect(code).toBe(0)
    expect(out.join('\n')).toMatch(/^note {3}database: .*the first start creates it$/m)
    expect(await readdir(DATA_DIR)).toEqual([])
  })
})

describe('a disabled account', () => {
  const disabling = async (id: string) => operatedAccount((await database()).db, id).disable()
  const login = ({ email, password }: { email: string; password: string }) => ({
    body: { email, password },
  })

  test('loses all sessions and tokens at once, and keeps its data', async () => {
    const { call, someone } = await service()
    const ada = await someone()
    await ada.call('POST', '/api/tasks', { title: 'Buy milk' })
    const second = (await call('POST', '/api/auth/login', login(ada))).body.access_token
    const personal = await ada.call('POST', '/api/auth/tokens', { name: 'x', scope: 'tasks:read' })

    expect(await disabling(ada.id)).toBe(true)

    for (const token of [ada.token, second, personal.body.access_token])
      expect((await call('GET', '/api/tasks', { token })).status).toBe(401)
    expect((await ada.call('POST', '/api/auth/refresh')).status).toBe(401)
    const left = await rowsOf(ada.id)
    expect([left.sessions.length, left.tasks.length]).toEqual([0, 1])
  })

  test('cannot sign in: the response is that of a wrong password, on both routes', async () => {
    const { call, someone } = await service()
    const [ada, bob] = [await someone(), await someone()]
    await disabling(ada.id)
    const form = (email: string, password: string) => ({
      body: `grant_type=password&username=${encodeURIComponent(email)}&password=${encodeURIComponent(password)}`,
      headers: { 'content-type': 'application/x-www-form-urlencoded' },
    })

    const right = comparable(await call('POST', '/api/auth/login', login(ada)))
    const wrong = comparable(
      await call('POST', '/api/auth/login', login({ ...bob, password: 'wrong' })),
    )
    expect(right).toEqual(wrong)
    expect(right.status).toBe(401)
    const rightForm = comparable(
      await call('POST', '/api/oauth/token', form(ada.email, ada.password)),
    )
    expect(rightForm).toEqual(
      comparable(await call('POST', '/api/oauth/token', form(bob.email, 'x'))),
    )
    expect(JSON.parse(rightForm.text).error).toBe('invalid_grant')
    expect((await rowsOf(ada.id)).sessions).toEqual([])
  })

  test('costs one bcrypt verification, even if its hash is outdated', async () => {
    const cheap = await service()
    const dear = await service({ BCRYPT_COST: '5' })
    const ada = await cheap.someone()
    await disabling(ada.id)
    const before = (await rowsOf(ada.id)).users

    expect((await dear.call('POST', '/api/auth/login', login(ada))).status).toBe(401)

    expect((await rowsOf(ada.id)).users).toEqual(before)
    expect(dear.log).toContainEqual(
      expect.objectContaining({ event: 'sign-in failed', user_id: ada.id }),
    )
  })

  test('counts its sign-ins as failures', async () => {
    const { call, someone } = await service({ LOGIN_ATTEMPTS: '2' })
    const ada = await someone()
    await disabling(ada.id)

    const statuses: number[] = []
    for (let attempt = 0; attempt < 3; attempt++)
      statuses.push((await call('POST', '/api/auth/login', login(ada))).status)

    expect(statuses).toEqual([401, 401, 429])
  })

  test('can sign in again after enable, with its data', async () => {
    const { call, someone } = await service()
    const ada = await someone()
    await ada.call('POST', '/api/tasks', { title: 'Buy milk' })
    await disabling(ada.id)

    expect(await operatedAccount((await database()).db, ada.id).enable()).toBe(true)

    const { status, body } = await call('POST', '/api/auth/login', login(ada))
    expect(status).toBe(200)
    const { body: page } = await call('GET', '/api/tasks', { token: body.access_token })
    expect(page.tasks).toHaveLength(1)
    expect((await ada.call('GET', '/api/tasks')).status).toBe(401)
  })

  test('is refused with tokens of a trusted issuer too, and accepted again with new ones', async () => {
    const secret = 'a secret that two services share with each other'
    const issuer = 'https://idp.example.test'
    const trusted = { issuer, audience: 'tasks', algorithms: ['HS256'], secret }
    const { call } = await service({ TRUSTED_ISSUERS: JSON.stringify([trusted]) })
    const sub = Bun.randomUUIDv7()
    const token = (seconds: number) =>
      new SignJWT({
        iss: issuer,
        aud: 'tasks',
        sub,
        iat: nowSeconds(),
        exp: nowSeconds() + seconds,
      })
        .setProtectedHeader({ alg: 'HS256' })
        .sign(new TextEncoder().encode(secret))
    const nowSeconds = () => Math.floor(Date.now() / 1000)
    const ask = async (seconds: number) => {
      const { status } = await call('GET', '/api/tasks', { token: await token(seconds) })
      return status
    }
    const me = await call('GET', '/api/auth/me', { token: await token(600) })
    const account = operatedAccount((await database()).db, me.body.id)

    await account.disable()
    // A cached token, another one of the same session, and one that would extend the session.
    expect([await ask(600), await ask(500), await ask(900)]).toEqual([401, 401, 401])
    expect((await rowsOf(me.body.id)).sessions).toEqual([])

    await account.enable()
    expect(await ask(901)).toBe(200)
  })

  test('has no live session afterwards, with any number of concurrent sign-ins and new tokens', async () => {
    const { call, someone } = await service()

    const left = await timesOver(10, async () => {
      const ada = await someone()
      const token = () => ada.call('POST', '/api/auth/tokens', { name: 'x', scope: 'tasks:read' })
      const racing = timesOver(4, async (at) => {
        for (let more = at; more < 8; more++) {
          await Bun.sleep(0)
          await Promise.all([call('POST', '/api/auth/login', login(ada)), token()])
        }
      })
      await token()
      await disabling(ada.id)
      const { sessions } = await rowsOf(ada.id)
      await racing
      return [sessions.length, (await rowsOf(ada.id)).sessions.length]
    })

    expect(left).toEqual(Array(10).fill([0, 0]))
  })
})

/* The tests enforce the overlap: statements wait for the user's lock, which a transaction of the test holds. */
describe.skipIf(!process.env.TEST_DATABASE_URL)(
  'statements that wait while an account is disabled',
  () => {
    const password = 'correct horse battery'
    const { transaction, lock, waiting, end } = locks()
    afterAll(end)

    test.each([
      ['the account is shut now', { disabled_at: new Date() }],
      ['the password is another now', { password_hash: 'another' }],
    ])('a sign-in that was verified before fails: %s', async (_, changes) => {
      const { call, someone } = await service({ LOGIN_ATTEMPTS: '1' })
      const ada = await someone()
      const holder = await transaction()
      await lock(holder, ada.id)

      const login = () => call('POST', '/api/auth/login', { body: { email: ada.email, password } })
      const first = login()
      await waiting(1, first)
      await holder`update users set ${holder(changes)} where id = ${ada.id}`
      await holder.unsafe('commit')

      expect([(await first).status, (await login()).status]).toEqual([401, 429])
      expect((await rowsOf(ada.id)).sessions).toHaveLength(1)
    })

    test.each(['disable', 'erase'] as const)(
      '%s holds no other lock while it waits',
      async (act) => {
        const { someone } = await service()
        const ada = await someone()
        const holder = await transaction()
        await lock(holder, ada.id)

        const acting = operatedAccount((await database()).db, ada.id)[act]()
        await waiting(1, acting)
        // Waiting for a second lock is half of a deadlock: this throws if the row is locked.
        const free = await holder`select id from users where id = ${ada.id} for update nowait`
        await holder.unsafe('commit')

        expect([free.length, await acting]).toEqual([1, true])
      },
    )

    test('a federated token does not renew an ended session', async () => {
      const { db } = await database()
      const subject = Bun.randomUUIDv7()
      const inADay = () => new Date(Date.now() + 86_400_000).toISOString()
      const { findOrCreate } = createFederatedUserRepository(db)
      const { userId } = await findOrCreate('https://idp.example.test', subject, inADay())
      await db.delete(sessions).where(eq(sessions.user_id, userId))
      const holder = await transaction()
      await lock(holder, userId)

      const seen = findOrCreate('https://idp.example.test', subject, inADay())
      await waiting(1, seen)
      await holder`update users set disabled_at = now() where id = ${userId}`
      await holder.unsafe('commit')

      expect(await seen).toMatchObject({ userId, isNew: false })
      expect((await rowsOf(userId)).sessions).toEqual([])
    })

    test('an ended session creates no personal token, although another session is live', async () => {
      const { call, someone } = await service()
      const ada = await someone()
      await call('POST', '/api/auth/login', { body: { email: ada.email, password } })
      const { sid } = decodeJwt(ada.token)
      const holder = await transaction()
      await lock(holder, ada.id)

      const token = ada.call('POST', '/api/auth/tokens', { name: 'x', scope: 'tasks:read' })
      await waiting(1, token)
      await holder`delete from sessions where user_id = ${ada.id} and id = ${String(sid)}`
      await holder.unsafe('commit')

      expect((await token).status).toBe(401)
      expect((await rowsOf(ada.id)).sessions.map(({ kind }) => kind)).toEqual(['sign-in'])
    })

    test('a session that started before the others ended and became visible after ends too', async () => {
      const { someone } = await service()
      const url = process.env.TEST_DATABASE_URL!
      const patient = await openDatabase({
        kind: 'postgres',
        url,
        migrationUrl: url,
        poolMax: 1,
        timeoutMs: 60_000,
        prepare: 'auto',
      })

      /** Undefined if the sessions ended before the second transaction got the lock: row locks have no queue. */
      const sessionsAfterwards = async () => {
        const ada = await someone()
        const [first, second] = [await transaction(), await transaction()]
        await lock(first, ada.id)

        // It waits for the lock to disable the account; then the second transaction gets the lock.
        const disabling = operatedAccount(patient.db, ada.id).disable()
        await waiting(1, disabling)
        const locked = lock(second, ada.id)
        await waiting(2, disabling)
        await first.unsafe('commit')
        await locked
        // Now it waits for the lock to end the visible sessions.
        await waiting(1, disabling)
        const isOverlap = (await rowsOf(ada.id)).sessions.length === 1
        await second`insert into sessions values (${ada.id}, ${Bun.randomUUIDv7()}, 'personal', 'x',
        'tasks:read', now(), now() + interval '1 hour', now())`
        await second.unsafe('commit')
        expect(await disabling).toBe(true)
        return isOverlap ? (await rowsOf(ada.id)).sessions : undefined
      }

      let remaining: Awaited<ReturnType<typeof sessionsAfterwards>>
      for (let attempt = 0; attempt < 20 && remaining === undefined; attempt++)
        remaining = await sessionsAfterwards()
      await patient.close()

      expect(remaining).toEqual([])
    })
  },
)

describe('operator commands', () => {
  const account = async (id: string) => operatedAccount((await database()).db, id)

  test('replace a password: the old one and all sessions are invalid', async () => {
    const { call, someone } = await service()
    const ada = await someone()
    const hash = await Bun.password.hash('another horse battery', { algorithm: 'bcrypt', cost: 4 })

    expect(await (await account(ada.id)).replacePassword(hash)).toBe(true)

    const login = async (password: string) =>
      (await call('POST', '/api/auth/login', { body: { email: ada.email, password } })).status
    expect((await ada.call('GET', '/api/tasks')).status).toBe(401)
    expect(await login(ada.password)).toBe(401)
    expect(await login('another horse battery')).toBe(200)
  })

  test('erase an account with all its data, and nothing of other users', async () => {
    const { someone } = await service()
    const [ada, bob] = [await someone(), await someone()]
    await ada.call('POST', '/api/tasks', { title: 'Buy milk' })
    await bob.call('POST', '/api/tasks', { title: 'Buy milk' })
    const bobs = await rowsOf(bob.id)

    expect(await (await account(ada.id)).erase()).toBe(true)

    expect(await rowsOf(ada.id)).toEqual({ users: [], changes: [], sessions: [], tasks: [] })
    expect(await rowsOf(bob.id)).toEqual(bobs)
    expect((await ada.call('GET', '/api/tasks')).status).toBe(401)
  })

  test('find an account by e-mail or id only', async () => {
    const { someone } = await service()
    const [ada, bob] = [await someone(), await someone()]
    const { find } = createAccountDirectory((await database()).db)

    expect([(await find(ada.email))?.id, (await find(bob.id))?.id]).toEqual([ada.id, bob.id])
    expect(await find(`${Bun.randomUUIDv7()}@example.test`)).toBeUndefined()
    expect(await find(Bun.randomUUIDv7())).toBeUndefined()
  })

  test('disable one account, and change nothing of other users', async () => {
    const { someone } = await service()
    const [ada, bob] = [await someone(), await someone()]
    const bobs = await rowsOf(bob.id)

    await (await account(ada.id)).disable()
    await (await account(ada.id)).replacePassword('a hash')

    expect(await rowsOf(bob.id)).toEqual(bobs)
  })

  test('report an account that does not exist', async () => {
    const missing = await account(Bun.randomUUIDv7())

    expect(await missing.erase()).toBe(false)
    expect(await missing.disable()).toBe(false)
    expect(await missing.enable()).toBe(false)
    expect(await missing.replacePassword('x')).toBe(false)
  })

  test('fail after 100 attempts if sessions start faster than they end', async () => {
    let rounds = 0
    const oneMore = async () => ({ rows: [[Bun.randomUUIDv7()]], sent: rounds++ })

    const ending = operatedAccount(createStubDb(oneMore), Bun.randomUUIDv7()).disable()

    await expect(ending).rejects.toThrow('sessions are started faster than they end')
    // The first statement disables the account.
    expect(rounds - 1).toBe(100)
  })

  test('erase while tasks are added, without orphans and without a 500', async () => {
    const { someone } = await service()

    const rounds = await timesOver(20, async () => {
      const ada = await someone()
      const adding = timesOver(8, (at) => ada.call('POST', '/api/tasks', { title: `task ${at}` }))
      const erased = (await account(ada.id)).erase()
      return { id: ada.id, added: await adding, erased: await erased }
    })

    const statuses = rounds.flatMap(({ added }) => added.map(({ status }) => status))
    expect(rounds.map(({ erased }) => erased)).toEqual(Array(20).fill(true))
    expect(statuses.filter((status) => status !== 201 && status !== 401)).toEqual([])
    for (const { id } of rounds) expect((await rowsOf(id)).tasks).toEqual([])
  })

  test('list every account once, page by page', async () => {
    const { someone } = await service()
    const people = [await someone(), await someone(), await someone()]
    await (await account(people[1]!.id)).disable()

    const found = new Map<string, boolean>()
    for await (const page of createAccountDirectory((await database()).db, 2).pages())
      for (const { id, disabled_at } of page) {
        expect(found.has(id)).toBe(false)
        found.set(id, disabled_at !== null)
      }

    expect(people.map(({ id }) => found.get(id))).toEqual([false, true, false])
  })
})

describe('user create', () => {
  const database = async () => ({
    DATABASE_URL: 'pglite:',
    DATA_DIR: await folder(),
    BCRYPT_COST: '4',
  })
  const migrated = async () => {
    const env = await database()
    expect((await command('migrate', env)).code).toBe(0)
    return env
  }
  const email = 'ada@example.test'

  test('prints a link that sets the password, also with closed registration and without mail', async () => {
    const env = {
      ...(await migrated()),
      REGISTRATION: 'closed',
      PUBLIC_URL: 'https://tasks.example',
    }

    const { code, out, err } = await command(`user create --email ${email} --print-link`, env)

    expect([code, out.length]).toEqual([0, 1])
    expect(out[0]).toMatch(/^https:\/\/tasks\.example\/account\/reset#token=[\w-]{64}$/)
    const [logged, said] = err
    expect(JSON.parse(logged ?? '')).toMatchObject({
      level: 'info',
      event: 'operator',
      action: 'create',
      user_id: expect.any(String),
    })
    expect(said).toContain(email)
    expect(err.join()).not.toContain('token=')
    const again = await command(`user create --email ${email.toUpperCase()} --print-link`, env)
    expect([again.code, again.err.at(-1)]).toEqual([1, expect.stringContaining('has an account')])
    const { out: listed } = await command('user list', env)
    expect(listed).toHaveLength(1)
  })

  test('and every other action on an account write one log line each', async () => {
    const env = await migrated()
    const actions = ['disable', 'enable', 'reset-password', 'delete']
    const created = await command(`user create --email ${email} --print-link`, env)
    const { user_id } = JSON.parse(created.err[0] ?? '')

    for (const action of actions) {
      const { code, err } = await command(`user ${action} ${email}`, env)
      const logged = err.filter((line) => line.startsWith('{')).map((line) => JSON.parse(line))
      expect([action, code, logged]).toEqual([
        action,
        0,
        [expect.objectContaining({ level: 'info', event: 'operator', action, user_id })],
      ])
    }
  })

  test('mails an invitation, which is stored if the server is down', async () => {
    const env = await migrated()
    const down = {
      MAIL_URL: 'smtp://127.0.0.1:1',
      MAIL_FROM: 'no-reply@tasks.example',
      PUBLIC_URL: 'https://tasks.example',
    }

    const { code, out } = await command(`user create --email ${email} --name Ada`, env)
    const later = await command('user create --email bob@example.test', { ...env, ...down })

    expect([code, out, later.code]).toEqual([0, [], 0])
    const [file, ...others] = await readdir(join(env.DATA_DIR, 'outbox'))
    expect(others).toEqual([])
    const text = await Bun.file(join(env.DATA_DIR, 'outbox', file ?? '')).text()
    expect(text).toContain(`To: ${email}`)
    expect(text).toContain('Subject: Your account')
    const opened = await openDatabase({
      kind: 'embedded',
      dataDir: env.DATA_DIR,
      timeoutMs: 25_000,
    })
    const messages = await opened.db.select().from(mailMessages)
    await opened.close()
    expect(messages).toEqual([
      expect.objectContaining({
        template: 'invitation',
        recipient: 'bob@example.test',
        attempts: 1,
      }),
    ])
  })

  test.each([
    ['user create', /--email is missing/],
    ['user create --email ada', /must be an e-mail address/],
    [`user create --email ${email} --name ${'x'.repeat(101)}`, /at most 100 characters/],
    [`user create --email ${email} --age 7`, /--age/],
  ])('%s is wrong usage', async (line, says) => {
    const { code, err } = await command(line, await database())

    expect([code, err.join()]).toEqual([2, expect.stringMatching(says)])
  })

  test.skipIf(process.env.TEST_DATABASE_URL === undefined)(
    'without mail and without --print-link says what to set',
    async () => {
      const env = { DATABASE_URL: String(process.env.TEST_DATABASE_URL) }
      const to = `${Bun.randomUUIDv7()}@example.test`

      const { code, err } = await command(`user create --email ${to}`, env)

      expect([code, err.join()]).toEqual([1, expect.stringContaining('--print-link')])
    },
  )
})

describe('doctor, of mail', () => {
  const mail = { MAIL_FROM: 'no-reply@tasks.example', PUBLIC_URL: 'https://tasks.example' }
  const lineFor = async (MAIL_URL: string) => {
    const { out } = await command('doctor', { DATABASE_URL: 'pglite:memory', ...mail, MAIL_URL })
    return out.find((line) => line.includes(' mail: '))
  }

  test('reports a server that works, one that refuses the password, and one that is not there', async () => {
    const open = await startSmtp()
    const closed = await startSmtp({
      disabledCommands: ['STARTTLS'],
      allowInsecureAuth: true,
      onAuth: (_auth, _session, done) => done(new Error('wrong')),
    })

    expect(await lineFor(open.env.MAIL_URL)).toMatch(/^ok +mail: greeting, TLS and/)
    expect(await lineFor(`smtp://ada:canary@127.0.0.1:${closed.port}`)).toMatch(
      /^wrong +mail: .*refuses user or password.*\(EAUTH\)/,
    )
    expect(await lineFor('smtp://ada:canary@127.0.0.1:1')).toMatch(
      /^wrong +mail: .*no server listens/,
    )
    expect(open.received).toEqual([])
    await open.stop()
    await closed.stop()
  })

  test('notes that messages are files, or that there is no mail', async () => {
    const { out } = await command('doctor', { DATABASE_URL: 'pglite:memory' })

    expect(out.join('\n')).toMatch(/^note +mail: messages are written to data\/outbox/m)
  })
})
