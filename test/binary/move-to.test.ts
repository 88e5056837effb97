import { afterAll, expect, test } from 'bun:test'
import { join } from 'node:path'
import postgres from 'postgres'
import { begin, cleanUp, embedded, invoke, onPostgres, patience, start } from './process.ts'

afterAll(cleanUp)

const only = test.skipIf(!process.env.TEST_DATABASE_URL)

/** What a user sees, without the times of the last use of sessions. */
const stateOf = async (
  { call }: Pick<Awaited<ReturnType<typeof start>>, 'call'>,
  token: string,
): Promise<unknown> => {
  const paths = ['/api/tasks/export?format=json', '/api/lists', '/api/tasks/trash', '/api/auth/me']
  const more = ['/api/tasks/changes?include=lists', '/api/tasks/counts', '/api/tags']
  const found = []
  for (const path of [...paths, ...more]) {
    const { status, body } = await call('GET', path, { token })
    expect([path, status]).toEqual([path, 200])
    // The token of the next page is encrypted, and another text each time.
    const { next: _, ...others } = body
    found.push(others)
  }
  return found
}

/** An embedded database with two users, and what they see. */
const filled = async () => {
  const settings = await embedded()
  const service = await start(settings)
  const people = []
  for (const zone of ['Europe/Berlin', 'UTC']) {
    const { email, password } = await service.someone()
    const signIn = await service.call('POST', '/api/auth/login', { body: { email, password } })
    const { access_token: token, refresh_token: refresh } = signIn.body
    const send = (method: string, path: string, body?: object, headers = {}) =>
      service.call(method, path, { token, body, headers })
    await send('PATCH', '/api/auth/me', { time_zone: zone, name: 'Åsa "x" \\ 😀' })
    const list = (await send('POST', '/api/lists', { name: 'a, b' })).body
    const create = Array.from({ length: 100 }, (_, n) => ({
      ...{ title: `${n} \t{"x"} é`, tags: ['a,b', '"q"', '{}'], description: n % 2 ? null : '\n' },
      ...{
        due_on: '2027-01-01',
        reminders: [{ minutes_before: n }],
        list_id: n % 3 ? null : list.id,
      },
      ...(n % 10 === 0 && { recurrence: { rrule: 'FREQ=DAILY' } }),
    }))
    // More than one page of a table.
    for (let n = 0; n < 6; n++) await send('POST', '/api/tasks/batch', { create })
    const key = { 'idempotency-key': 'once' }
    const once = await send(
      'POST',
      '/api/tasks',
      { title: 'once', due_at: '2027-01-01T00:00:00.123Z' },
      key,
    )
    const gone = (await send('POST', '/api/tasks', { title: 'gone' })).body
    await send('DELETE', `/api/tasks/${gone.id}`)
    const personal = await send('POST', '/api/auth/tokens', { name: 'x', scope: 'tasks:read' })
    expect([once.status, personal.status]).toEqual([201, 201])
    const state = await stateOf(service, token)
    people.push({ token, refresh, key, once, personal: personal.body.access_token, state })
  }
  await service.stop()
  const secret = await Bun.file(join(settings.DATA_DIR, 'jwt-secret')).text()
  return { settings, people, secret }
}

only(
  'an embedded database is moved with sessions, tokens and all rows',
  async () => {
    const { settings, people, secret } = await filled()
    const { DATABASE_URL } = await onPostgres()

    const { code, out, err } = await invoke(['move-to', DATABASE_URL], settings)
    expect([code, err]).toEqual([0, ''])
    expect(out).toContain('users\t2\n')
    expect(out).toMatch(/^tasks\t1204$/m)
    expect(out).toContain(`JWT_SECRET set to the content of ${settings.DATA_DIR}/jwt-secret`)

    const sql = postgres(DATABASE_URL, { max: 1, onnotice: () => {} })
    const tables = await sql`select tablename from pg_tables where schemaname = 'public'`
    const printed = out.split('\n').flatMap((line) => /^(\w+)\t\d+$/.exec(line)?.[1] ?? [])
    expect([...printed, 'counters'].sort()).toEqual(tables.map(({ tablename }) => tablename).sort())
    await sql.end()

    const service = await start({ DATABASE_URL, JWT_SECRET: secret })
    for (const { token, refresh, key, once, personal, state } of people) {
      expect(await stateOf(service, token)).toEqual(state)
      expect((await service.call('GET', '/api/tasks', { token: personal })).status).toBe(200)
      const body = { title: 'once', due_at: '2027-01-01T00:00:00.123Z' }
      const again = await service.call('POST', '/api/tasks', { token, body, headers: key })
      expect(again.body).toEqual(once.body)
      const form = new URLSearchParams({ grant_type: 'refresh_token', refresh_token: refresh })
      const refreshed = await fetch(`${service.origin}/api/oauth/token`, {
        method: 'POST',
        body: form,
      })
      expect(refreshed.status).toBe(200)
    }
    await service.stop()
    expect(await invoke(['move-to', DATABASE_URL], settings)).toEqual({
      code: 1,
      out: '',
      err: 'taskwarden: the target has accounts already: move-to needs an empty database\n',
    })
    // The embedded database is as it was.
    const before = await start(settings)
    for (const { token, state } of people) expect(await stateOf(before, token)).toEqual(state)
    await before.stop()
  },
  patience,
)

only(
  'a copy that differs from its source is an error, and leaves no row',
  async () => {
    const { settings } = await filled()
    const { DATABASE_URL } = await onPostgres()
    expect((await invoke(['migrate'], { DATABASE_URL })).code).toBe(0)
    const sql = postgres(DATABASE_URL, { max: 1, onnotice: () => {} })
    await sql.unsafe(`
      create function other() returns trigger language plpgsql as
        $$ begin new.title := new.title || case when new.title like '7%' then '!' else '' end; return new; end $$;
      create trigger other before insert on tasks for each row execute function other()`)

    expect(await invoke(['move-to', DATABASE_URL], settings)).toEqual({
      code: 1,
      out: '',
      err: 'taskwarden: the rows of tasks differ from those of the source; nothing was copied: please report this\n',
    })
    expect(await sql`select from users`).toHaveLength(0)
    await sql.end()
  },
  patience,
)

only(
  'a move that is killed leaves no row, and can be repeated',
  async () => {
    const { settings } = await filled()
    const { DATABASE_URL } = await onPostgres()
    const sql = postgres(DATABASE_URL, { max: 2, onnotice: () => {} })
    expect((await invoke(['migrate'], { DATABASE_URL })).code).toBe(0)

    const holder = await sql.reserve()
    await holder`begin`
    // The last table: all others are copied when the command waits for it.
    await holder`lock table webhooks in access exclusive mode`
    const child = begin(['move-to', DATABASE_URL], settings)
    for (let waits = 0; waits === 0; )
      waits = (
        await sql`select from pg_locks where not granted and relation = 'webhooks'::regclass`
      ).length
    child.kill('SIGKILL')
    await child.exited
    await holder`commit`
    holder.release()

    const [row] =
      await sql`select (select count(*) from users)::int as users, (select count(*) from tasks)::int as tasks`
    expect(row).toMatchObject({ users: 0, tasks: 0 })
    expect((await invoke(['move-to', DATABASE_URL], settings)).code).toBe(0)
    expect(await sql`select from users`).toHaveLength(2)
    await sql.end()
  },
  patience,
)

test('a wrong target, and a source that is no embedded database, are refused', async () => {
  const target = 'postgres://127.0.0.1:1/x'
  const settings = await embedded()
  expect(await invoke(['move-to'], settings)).toMatchObject({ code: 2 })
  expect(await invoke(['move-to', 'nothing'], settings)).toMatchObject({ code: 2 })
  const postgresSource = { DATABASE_URL: target }
  expect(await invoke(['move-to', target], postgresSource)).toMatchObject({ code: 2 })
  expect((await invoke(['migrate'], settings)).code).toBe(0)
  const { code, err } = await invoke(['move-to', target], settings)
  expect([code, err]).toEqual([
    1,
    expect.stringMatching(
      /^taskwarden: the target cannot be used: no server listens there: .* in the URL, .*\(ECONNREFUSED\)\n$/,
    ),
  ])
}, 60_000)
