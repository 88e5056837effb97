import { afterAll, describe, expect, test } from 'bun:test'
import { mkdtemp, readdir, rm } from 'node:fs/promises'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { eq } from 'drizzle-orm'
import { decodeJwt, SignJWT } from 'jose'
import {
  createAccountDirectory,
  createOperatedAccount,
} from '../../src/auth/accounts/operator-repository.ts'
import { createFederatedUserRepository } from '../../src/auth/issuers/repository.ts'
import { run } from '../../src/cli/run.ts'
import { openDatabase } from '../../src/db/client.ts'
import { sessions } from '../../src/db/schema.ts'
import { locks } from '../support/locks.ts'
import { database, dbThat, faceless, rowsOf, service } from '../support/service.ts'

/* What an operator does from the command line. On the binary: test/binary/commands.test.ts. */

const folders: string[] = []
afterAll(() => Promise.all(folders.map((folder) => rm(folder, { recursive: true, force: true }))))
const folder = async () => {
  const path = await mkdtemp(join(tmpdir(), 'taskwarden-'))
  folders.push(path)
  return path
}

/** Runs a command with these settings and no others. */
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

describe('a call', () => {
  test.each(['--help', '-h', 'user --help', 'serve --help'])(
    '%s is told the commands',
    async (line) => {
      const { code, out, err } = await command(line)

      expect([code, err]).toEqual([0, []])
      for (const name of 'serve migrate doctor healthcheck user purge openapi'.split(' '))
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
    ['user', /user takes list, reset-password, disable, enable or delete/],
    ['user drop a@b', /not "drop"/],
    ['user delete', /e-mail or id is missing/],
    ['user delete a@b c@d', /"c@d" is an unexpected argument/],
    ['user list --all', /--all/],
  ])('%s is refused with 2, in a line, before anything is opened', async (line, what) => {
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
    '%s without a database is 1, and says so in a line without its address',
    async (line) => {
      const DATABASE_URL = 'postgres://canary:canary@127.0.0.1:1/canary'
      const { code, out, err } = await command(line, { DATABASE_URL })

      expect([code, out]).toEqual([1, []])
      expect(err).toEqual([
        'taskwarden: the database cannot be used: nothing listens there: check host and port in DATABASE_URL, and that it runs (ECONNREFUSED)',
      ])
    },
  )

  test.each(['purge', 'user list', 'user delete ada@example.test'])(
    '%s before the tables are there says what to run',
    async (line) => {
      const { code, err } = await command(line, { DATABASE_URL: 'pglite:memory' })

      expect(code).toBe(1)
      expect(err).toEqual(['taskwarden: the schema is not up to date; run: taskwarden migrate'])
    },
  )
})

test('openapi prints what the service answers, without a setting', async () => {
  const { call } = await service()

  const { code, out } = await command('openapi')

  const served = await call('GET', '/docs/json')
  expect(code).toBe(0)
  expect(out).toEqual([served.text])
})

describe('healthcheck', () => {
  const serving = (status: number) =>
    Bun.serve({ port: 0, hostname: '127.0.0.1', fetch: () => new Response('', { status }) })

  test('is 0 where the service answers, and asks it for /health', async () => {
    const asked: string[] = []
    const server = Bun.serve({
      port: 0,
      hostname: '127.0.0.1',
      fetch: ({ method, url }) => {
        asked.push(`${method} ${new URL(url).pathname}`)
        return new Response('ok')
      },
    })

    // No proxy of the environment is asked, and no other setting is looked at.
    const env = { PORT: String(server.port), HTTP_PROXY: 'http://127.0.0.1:1', JWT_SECRET: 'short' }
    expect(await command('healthcheck', env)).toEqual({ code: 0, out: [], err: [] })
    expect(await command('healthcheck', { ...env, HOST: '127.0.0.1' })).toMatchObject({ code: 0 })
    expect(asked).toEqual(['GET /health', 'GET /health'])
    await server.stop(true)
  })

  test('is 1 for another answer, for none, and where the port is not known', async () => {
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
      'taskwarden: /health answered 503, not 200',
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

  test('finds nothing wrong where nothing is', async () => {
    await database()

    const { code, out, err } = await command('doctor', settings)

    expect([code, err]).toEqual([0, []])
    expect(out.join('\n')).toMatch(/^ok +database: PostgreSQL \d+\.\d+ answers in \d+ ms$/m)
    expect(out.join('\n')).toMatch(/^(ok|note) +migrations: /m)
    expect(out.join('\n')).toMatch(/^ok +clock: \d+ ms from the clock of the database$/m)
    expect(out.join('\n')).not.toContain(secret)
  })

  test('finds missing migrations wrong where nobody else applies them', async () => {
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
    ['postgres://a:canary@127.0.0.1:1/x', /nothing listens there.*DATABASE_URL.*\(ECONNREFUSED\)/],
    // No label of a name may be as long: nobody has to be asked, who may take his time.
    [`postgres://a:canary@${'x'.repeat(64)}.invalid/x`, /no such host.*\(E\w+\)/],
  ])('says what to do about %s', async (DATABASE_URL, what) => {
    const { code, out } = await command('doctor', { DATABASE_URL, JWT_SECRET: secret })

    const told = out.find((line) => line.includes(' database: '))
    expect(code).toBe(1)
    expect(told).toMatch(/^wrong {2}database: /)
    expect(told).toMatch(what)
    expect(out.join('\n')).not.toContain('canary')
  })

  test('finds a store of the limits that does not answer wrong, without its address', async () => {
    const { code, out } = await command('doctor', {
      ...settings,
      RATE_LIMIT_STORE: 'redis',
      REDIS_URL: 'redis://:canary@127.0.0.1:1',
    })

    expect(code).toBe(1)
    expect(out.at(-1)).toMatch(
      /^wrong {2}limits: .*nothing listens there: check host and port in REDIS_URL/,
    )
    expect(out.join('\n')).not.toContain('canary')
  })

  test('makes no database where there is none yet', async () => {
    const DATA_DIR = await folder()

    const { code, out } = await command('doctor', { DATA_DIR })

    expect(code).toBe(0)
    expect(out.join('\n')).toMatch(/^note {3}database: .*the first start makes it$/m)
    expect(await readdir(DATA_DIR)).toEqual([])
  })
})

describe('an account that is disabled', () => {
  const disabling = async (id: string) => createOperatedAccount((await database()).db, id).disable()
  const login = ({ email, password }: { email: string; password: string }) => ({
    body: { email, password },
  })

  test('loses every session and token at once, and keeps its data', async () => {
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

  test('signs in no more: the answer is that of a wrong password, on either route', async () => {
    const { call, someone } = await service()
    const [ada, bob] = [await someone(), await someone()]
    await disabling(ada.id)
    const form = (email: string, password: string) => ({
      body: `grant_type=password&username=${encodeURIComponent(email)}&password=${encodeURIComponent(password)}`,
      headers: { 'content-type': 'application/x-www-form-urlencoded' },
    })

    const right = faceless(await call('POST', '/api/auth/login', login(ada)))
    const wrong = faceless(
      await call('POST', '/api/auth/login', login({ ...bob, password: 'wrong' })),
    )
    expect(right).toEqual(wrong)
    expect(right.status).toBe(401)
    const rightForm = faceless(
      await call('POST', '/api/oauth/token', form(ada.email, ada.password)),
    )
    expect(rightForm).toEqual(
      faceless(await call('POST', '/api/oauth/token', form(bob.email, 'x'))),
    )
    expect(JSON.parse(rightForm.text).error).toBe('invalid_grant')
    expect((await rowsOf(ada.id)).sessions).toEqual([])
  })

  test('costs one bcrypt like any other, even where its hash would be renewed', async () => {
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

  test('is let in again by enable, with what it had', async () => {
    const { call, someone } = await service()
    const ada = await someone()
    await ada.call('POST', '/api/tasks', { title: 'Buy milk' })
    await disabling(ada.id)

    expect(await createOperatedAccount((await database()).db, ada.id).enable()).toBe(true)

    const { status, body } = await call('POST', '/api/auth/login', login(ada))
    expect(status).toBe(200)
    const { body: page } = await call('GET', '/api/tasks', { token: body.access_token })
    expect(page.tasks).toHaveLength(1)
    expect((await ada.call('GET', '/api/tasks')).status).toBe(401)
  })

  test('is shut out with the tokens of another identity provider too, and let in by new ones', async () => {
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
    const account = createOperatedAccount((await database()).db, me.body.id)

    await account.disable()
    // One that has been seen, one of the same session, one that would make the session last longer.
    expect([await ask(600), await ask(500), await ask(900)]).toEqual([401, 401, 401])
    expect((await rowsOf(me.body.id)).sessions).toEqual([])

    await account.enable()
    expect(await ask(901)).toBe(200)
  })

  test('has no live session afterwards, however many sign-ins and new tokens it races with', async () => {
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

/* What overlaps is made to: statements wait for the user's lock, which a transaction of the test holds. */
describe.skipIf(!process.env.TEST_DATABASE_URL)('what waits while an account is shut', () => {
  const password = 'correct horse battery'
  const { transaction, lock, waiting, end } = locks()
  afterAll(end)

  test.each([
    ['the account is shut now', { disabled_at: new Date() }],
    ['the password is another now', { password_hash: 'another' }],
  ])('a sign-in whose password was right before is a failed one: %s', async (_, changes) => {
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

  test.each(['disable', 'erase'] as const)('whoever is to %s it holds nothing yet', async (act) => {
    const { someone } = await service()
    const ada = await someone()
    const holder = await transaction()
    await lock(holder, ada.id)

    const acting = createOperatedAccount((await database()).db, ada.id)[act]()
    await waiting(1, acting)
    // A lock that waits for another is half of a deadlock: where the row is held, this throws.
    const free = await holder`select id from users where id = ${ada.id} for update nowait`
    await holder.unsafe('commit')

    expect([free.length, await acting]).toEqual([1, true])
  })

  test('a token from elsewhere does not bring its session back', async () => {
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

  test('a personal token is not made by a session that has ended, though another lives', async () => {
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

  test('a session that was started before the sessions end, and is seen after, ends too', async () => {
    const { someone } = await service()
    const ada = await someone()
    const url = process.env.TEST_DATABASE_URL!
    const patient = await openDatabase({
      kind: 'postgres',
      url,
      migrationUrl: url,
      poolMax: 1,
      timeoutMs: 60_000,
      prepare: 'auto',
    })
    const [first, second] = [await transaction(), await transaction()]
    await lock(first, ada.id)

    // It waits for the lock to say that nobody signs in; then the second transaction has it.
    const disabling = createOperatedAccount(patient.db, ada.id).disable()
    await waiting(1, disabling)
    const locked = lock(second, ada.id)
    await waiting(2, disabling)
    await first.unsafe('commit')
    await locked
    // Now it waits for the lock to end the sessions that it can see.
    await waiting(1, disabling)
    await second`insert into sessions values (${ada.id}, ${Bun.randomUUIDv7()}, 'personal', 'x',
      'tasks:read', now(), now() + interval '1 hour', now())`
    await second.unsafe('commit')

    expect(await disabling).toBe(true)
    await patient.close()
    expect((await rowsOf(ada.id)).sessions).toEqual([])
  })
})

describe('the operator', () => {
  const account = async (id: string) => createOperatedAccount((await database()).db, id)

  test('replaces a password: the old one and every session are of no more use', async () => {
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

  test('erases an account with all that is its own, and nothing of others', async () => {
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

  test('finds an account by its e-mail or its id, and nobody by another', async () => {
    const { someone } = await service()
    const [ada, bob] = [await someone(), await someone()]
    const { find } = createAccountDirectory((await database()).db)

    expect([(await find(ada.email))?.id, (await find(bob.id))?.id]).toEqual([ada.id, bob.id])
    expect(await find(`${Bun.randomUUIDv7()}@example.test`)).toBeUndefined()
    expect(await find(Bun.randomUUIDv7())).toBeUndefined()
  })

  test('shuts one account out, and changes nothing of others', async () => {
    const { someone } = await service()
    const [ada, bob] = [await someone(), await someone()]
    const bobs = await rowsOf(bob.id)

    await (await account(ada.id)).disable()
    await (await account(ada.id)).replacePassword('a hash')

    expect(await rowsOf(bob.id)).toEqual(bobs)
  })

  test('is told of an account that is not there', async () => {
    const nobody = await account(Bun.randomUUIDv7())

    expect(await nobody.erase()).toBe(false)
    expect(await nobody.disable()).toBe(false)
    expect(await nobody.enable()).toBe(false)
    expect(await nobody.replacePassword('x')).toBe(false)
  })

  test('is told after 100 rounds that sessions are started faster than they end', async () => {
    let rounds = 0
    const oneMore = async () => ({ rows: [[Bun.randomUUIDv7()]], sent: rounds++ })

    const ending = createOperatedAccount(dbThat(oneMore), Bun.randomUUIDv7()).disable()

    await expect(ending).rejects.toThrow('sessions are started faster than they end')
    // The first statement says that nobody signs in any more.
    expect(rounds - 1).toBe(100)
  })

  test('erases while tasks are added: no orphan, and no 500', async () => {
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

  test('sees every account once, by pages', async () => {
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
