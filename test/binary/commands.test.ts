import { afterAll, describe, expect, test } from 'bun:test'
import postgres from 'postgres'
import { cleanUp, embedded, invoke, kinds, onPostgres, patience, start } from './process.ts'

/* The commands of what is shipped: `TEST_BINARY`, or `bun src/main.ts`. */

afterAll(cleanUp)

describe.each(kinds)('on %s', (kind, database) => {
  test(
    'accounts are listed, disabled, enabled, given a new password and erased',
    async () => {
      const settings = await database()
      const first = await start(settings)
      const [ada, bob] = [await first.someone(), await first.someone()]
      await first.call('POST', '/api/tasks', { token: ada.token, body: { title: 'Buy milk' } })
      await first.stop()
      const user = (line: string, input?: string) =>
        invoke(['user', ...line.split(' ')], settings, input)

      const listed = await user('list')
      expect(listed.code).toBe(0)
      const lines = listed.out.trim().split('\n')
      expect(lines.map((line) => line.split('\t')[0])).toEqual([ada.id, bob.id])
      expect(lines[0]).toMatch(/\t\d{4}-\d\d-\d\dT[\d:.]+Z\tenabled\t[^\t]+@example\.test$/)

      expect(await user(`disable ${ada.email}`)).toEqual({
        code: 0,
        out: `${ada.email} (${ada.id}) is disabled: all sessions have ended, and sign-in is refused\n`,
        err: expect.stringMatching(/^\{.*"event":"operator","action":"disable".*\}\n$/),
      })
      expect((await user('list')).out.split('\n')[0]).toContain('\tdisabled\t')
      // With upper-case letters, as users may type it.
      expect((await user(`enable ${ada.email.toUpperCase()}`)).code).toBe(0)
      const made = await user(`reset-password ${ada.email}`)
      const given = await user(`reset-password ${bob.email} --stdin`, 'another horse battery\n')
      const weak = await user(`reset-password ${bob.email} --stdin`, 'password\n')
      expect([made.code, given.code, given.out]).toEqual([0, 0, ''])
      expect(weak).toMatchObject({
        code: 1,
        out: '',
        err: expect.stringMatching(/^taskwarden: the password .*\n$/),
      })

      const second = await start(settings)
      const login = async (email: string, password: string) =>
        (await second.call('POST', '/api/auth/login', { body: { email, password } })).status
      expect((await second.call('GET', '/api/tasks', { token: ada.token })).status).toBe(401)
      expect(await login(ada.email, ada.password)).toBe(401)
      expect(await login(ada.email, made.out.trim())).toBe(200)
      expect(await login(bob.email, 'another horse battery')).toBe(200)
      await second.stop()
      const said = [...second.lines, made.err, given.err].join('\n')
      for (const secret of [made.out.trim(), 'another horse']) expect(said).not.toContain(secret)

      expect((await user(`delete ${ada.email}`)).code).toBe(0)
      expect((await user('list')).out.trim().split('\n')).toHaveLength(1)
      expect(await user(`delete ${ada.email}`)).toEqual({
        code: 1,
        out: '',
        err: `taskwarden: there is no account ${ada.email}\n`,
      })
    },
    patience,
  )

  test(
    'migrate creates the tables and names the applied migrations; the second run has no effect',
    async () => {
      const settings = await database()
      const early = await invoke(['purge'], settings)

      const first = await invoke(['migrate'], settings)
      const second = await invoke(['migrate'], settings)

      expect(early.err).toMatch(
        /^taskwarden: the schema is not up to date; run: taskwarden migrate\n$/,
      )
      expect(first.out).toMatch(/^applied 0000_core\n(applied \w+\n)*the schema is up to date\n$/)
      expect(second).toEqual({ code: 0, out: 'the schema is up to date\n', err: '' })
      expect(await invoke(['purge'], settings)).toMatchObject({ code: 0, err: '' })
      expect((await invoke(['doctor'], settings)).code).toBe(0)
    },
    patience,
  )

  test(
    'migrate needs no JWT_SECRET',
    async () => {
      const { JWT_SECRET: _, ...settings } = { JWT_SECRET: '', ...(await database()) }

      expect((await invoke(['migrate'], settings)).code).toBe(0)
      if (kind === 'PostgreSQL') expect((await invoke(['serve'], settings)).code).toBe(78)
    },
    patience,
  )
})

test(
  'on the embedded database, a command is refused in one line while the service runs',
  async () => {
    const settings = await embedded()
    const service = await start(settings)

    const said = expect.stringMatching(
      /^taskwarden: the data directory \S+ is in use by another process; stop that process first\n$/,
    )
    for (const args of [['user', 'list'], ['migrate'], ['purge']])
      expect(await invoke(args, settings)).toEqual({ code: 1, out: '', err: said })
    const { code, out } = await invoke(['doctor'], settings)
    expect(code).toBe(1)
    expect(out).toMatch(/^wrong {2}database: .*in use by another process/m)
    expect((await service.call('GET', '/ready')).status).toBe(200)
    await service.stop()
  },
  patience,
)

test.skipIf(!process.env.TEST_DATABASE_URL)(
  'on PostgreSQL, the documented rights of a role suffice, and doctor names a missing one',
  async () => {
    const page = await Bun.file('docs/operations.md').text()
    const role = `app_${Bun.randomUUIDv7().replaceAll('-', '')}`
    const { DATABASE_URL: owner, JWT_SECRET } = await onPostgres()
    const sql = postgres(owner, { max: 1, onnotice: () => {} })
    expect((await invoke(['migrate'], { DATABASE_URL: owner })).code).toBe(0)
    const [, grants = ''] = /```sql roles\n([^`]+)```/.exec(page) ?? []
    await sql.unsafe(grants.replaceAll('taskwarden_app', role))
    await sql`create table later (id integer)`
    const url = new URL(owner)
    url.username = role
    const settings = { DATABASE_URL: url.href, MIGRATION_DATABASE_URL: owner, JWT_SECRET }

    const service = await start({ ...settings, RATE_LIMIT_STORE: 'postgres' })
    const { email, password, token } = await service.someone()
    const requests = [
      ['POST', '/api/tasks', { title: 'x' }],
      ['GET', '/api/tasks', undefined],
      ['POST', '/api/lists', { name: 'x' }],
      ['POST', '/api/auth/login', { email, password }],
      ['DELETE', '/api/auth/me', { current_password: password }],
    ] as const
    for (const [method, path, body] of requests) {
      const { status } = await service.call(method, path, { token, body })
      expect([method, path, status < 300]).toEqual([method, path, true])
    }
    await service.stop()
    for (const args of [['purge'], ['user', 'list'], ['doctor']])
      expect(await invoke(args, settings)).toMatchObject({ code: 0, err: '' })

    await sql.unsafe(`revoke update on tasks from ${role}; revoke all on later from ${role}`)
    const { code, out } = await invoke(['doctor'], settings)
    expect(code).toBe(1)
    expect(out).toMatch(
      /^wrong {2}grants: the role in DATABASE_URL lacks (select|insert|update|delete) on later, .*, and 2 more: see/m,
    )
    await sql.unsafe(`drop owned by ${role}; drop role ${role}`)
    await sql.end()
  },
  patience,
)

test.skipIf(!process.env.TEST_DATABASE_URL)(
  'on PostgreSQL, doctor shows the size of tables, rows that autovacuum left, and expired rows',
  async () => {
    const settings = await onPostgres()
    expect((await invoke(['migrate'], settings)).code).toBe(0)
    const sql = postgres(settings.DATABASE_URL, { max: 1, onnotice: () => {} })
    const dead = 60_000
    const expired = 10_001
    await sql`alter table idempotency_keys set (autovacuum_enabled = false)`
    await sql`insert into users (id, email, password_hash, created_at)
      values (gen_random_uuid(), 'a@b.example', 'x', now())`
    const add = (count: number) => sql`
      insert into idempotency_keys (user_id, route, key, fingerprint, body, etag, expires_at)
      select id, 'x', n::text, 'x', '{}', null, now() - interval '1 hour' from users, generate_series(1, ${count}) n`
    await add(dead)
    await sql`delete from idempotency_keys`
    await add(expired)
    await sql`select pg_stat_force_next_flush()`

    const { code, out } = await invoke(['doctor'], settings)
    expect(code).toBe(0)
    expect(out).toMatch(/^ok {5}tables: \d+\.\d MB: idempotency_keys \d+\.\d MB, /m)
    expect(out).toMatch(/^note {3}tables: idempotency_keys has 60000 dead rows beside 10001 live/m)
    expect(out).toMatch(/^note {3}maintenance: more than 10000 expired rows/m)
    expect(await invoke(['purge'], settings)).toMatchObject({ code: 0, err: '' })
    expect((await invoke(['doctor'], settings)).out).toMatch(/^ok {5}maintenance: 0 expired rows/m)
    await sql.end()
  },
  patience,
)

test.skipIf(!process.env.TEST_DATABASE_URL)(
  'on PostgreSQL, a failed migration is reported with its statement, and leaves nothing',
  async () => {
    const settings = await onPostgres()
    const sql = postgres(settings.DATABASE_URL, { max: 1, onnotice: () => {} })
    await sql`create table users (name text)`

    const { code, out, err } = await invoke(['migrate'], settings)

    expect([code, out]).toEqual([1, ''])
    expect(err).toMatch(
      /^taskwarden: migration 0000_core failed: relation "users" already exists \(42P07\), in: CREATE TABLE "users" .*; nothing of it was applied\n$/,
    )
    expect(await sql`select from pg_tables where tablename = 'tasks'`).toHaveLength(0)
    await sql.end()
  },
  patience,
)

test.skipIf(!process.env.TEST_DATABASE_URL)(
  'on PostgreSQL, a disabled user is refused at the next request to the running service',
  async () => {
    const settings = await onPostgres()
    const service = await start(settings)
    const { email, password, token } = await service.someone()
    const ask = async () => (await service.call('GET', '/api/tasks', { token })).status
    const login = async () =>
      (await service.call('POST', '/api/auth/login', { body: { email, password } })).status
    expect(await ask()).toBe(200)

    expect((await invoke(['user', 'disable', email], settings)).code).toBe(0)
    expect([await ask(), await login()]).toEqual([401, 401])
    expect((await invoke(['user', 'enable', email], settings)).code).toBe(0)
    expect([await ask(), await login()]).toEqual([401, 200])
    await service.stop()
  },
  patience,
)

test(
  'healthcheck exits with 0 while the service runs, and with 1 at once when it does not',
  async () => {
    const service = await start(await embedded())
    const settings = { PORT: String(service.port) }

    const from = performance.now()
    const healthy = await invoke(['healthcheck'], settings)
    const durationMs = performance.now() - from
    await service.stop()
    const gone = await invoke(['healthcheck'], settings)

    expect(healthy).toEqual({ code: 0, out: '', err: '' })
    expect(durationMs).toBeLessThan(3000)
    expect(gone).toEqual({
      code: 1,
      out: '',
      err: `taskwarden: no response on port ${service.port} (ECONNREFUSED)\n`,
    })
  },
  patience,
)

test(
  'openapi writes the whole document to a pipe, without any setting',
  async () => {
    const { code, out, err } = await invoke(['openapi'])

    expect([code, err]).toEqual([0, ''])
    // Larger than the buffer of a pipe.
    expect(out.length).toBeGreaterThan(65_536)
    expect(JSON.parse(out)).toMatchObject({ openapi: '3.1.0', info: { title: 'Taskwarden' } })
  },
  patience,
)
