import { describe, expect, test } from 'bun:test'
import { eq, sql } from 'drizzle-orm'
import { openDatabase } from '../../../src/db/client.ts'
import { DatabaseUnavailable, runRead, runWrite } from '../../../src/db/errors.ts'
import { withLongDeadline } from '../../../src/db/pool/time-budget.ts'
import { users } from '../../../src/db/schema.ts'
import { onPostgres, person, serverUrl, until, writers } from '../../support/databases.ts'

const unknownId = '00000000-0000-7000-8000-000000000000'
const settings = { kind: 'postgres', migrationUrl: '', poolMax: 2, prepare: 'auto' } as const

test('a peer that accepts and closes is unavailable at once, without a reconnect loop', async () => {
  let calls = 0
  using peer = Bun.listen({
    hostname: '127.0.0.1',
    port: 0,
    socket: {
      data: () => {},
      open: (socket) => {
        calls++
        socket.end()
      },
    },
  })
  const url = `postgres://a@127.0.0.1:${peer.port}/a`
  const database = await openDatabase({ ...settings, url, timeoutMs: 2_000 })
  await expect(database.ping()).rejects.toBeInstanceOf(DatabaseUnavailable)
  expect(calls).toBe(2)
  await database.close()
})

test('a peer that never responds is unavailable at the deadline', async () => {
  using peer = Bun.listen({ hostname: '127.0.0.1', port: 0, socket: { data: () => {} } })
  const url = `postgres://a@127.0.0.1:${peer.port}/a`
  const database = await openDatabase({ ...settings, url, timeoutMs: 100 })
  const started = performance.now()
  await expect(database.ping()).rejects.toMatchObject({ code: 'deadline' })
  expect(performance.now() - started).toBeLessThan(3000)
  await database.close()
})

test('a repeated read shares the deadline of the first attempt', async () => {
  let calls = 0
  using peer = Bun.listen({
    hostname: '127.0.0.1',
    port: 0,
    socket: {
      data: () => {},
      open: (socket) => {
        calls++
        // The first attempt is lost near the deadline; the second gets no response.
        if (calls === 1) setTimeout(() => socket.end(), 3_000)
      },
    },
  })
  const url = `postgres://a@127.0.0.1:${peer.port}/a`
  const database = await openDatabase({ ...settings, url, timeoutMs: 4_000 })

  const started = performance.now()
  await expect(database.ping()).rejects.toMatchObject({ code: 'deadline' })

  expect(performance.now() - started).toBeLessThan(6_900)
  expect(calls).toBe(2)
  await database.close()
})

test('no data is sent unencrypted to a server without TLS if TLS is required', async () => {
  const received: string[] = []
  using peer = Bun.listen({
    hostname: '127.0.0.1',
    port: 0,
    socket: {
      data: (socket, data) => {
        received.push(data.toString('latin1'))
        if (received.length === 1) socket.write('N')
      },
    },
  })
  const url = `postgres://canary:s3cret@127.0.0.1:${peer.port}/a?sslmode=verify-full`
  const database = await openDatabase({ ...settings, url, timeoutMs: 2_000 })

  await expect(database.ping()).rejects.toBeInstanceOf(DatabaseUnavailable)

  expect(received[0]).toHaveLength(8)
  expect(received.join('')).not.toMatch(/canary|s3cret/)
  await database.close()
})

describe.skipIf(!serverUrl)('on a server', () => {
  test('a long statement has six deadlines and its own connection, and then it is cancelled', async () => {
    await using one = await onPostgres({ poolMax: 1, timeoutMs: 1_000 })
    const { db } = one.database
    const sleeping = (seconds: number) =>
      runRead(() => db.execute(sql`select pg_sleep(${seconds})`))

    await expect(sleeping(1.5)).rejects.toBeInstanceOf(DatabaseUnavailable)
    await withLongDeadline(() => sleeping(1.5))
    await expect(withLongDeadline(() => sleeping(30))).rejects.toBeInstanceOf(DatabaseUnavailable)

    const [shown] = await db
      .select({ text: sql`current_setting('statement_timeout')` })
      .from(sql`(select) t`)
    expect(shown?.text).toBe('1s')
  }, 60_000)

  test('at the deadline a running statement is cancelled, and a waiting one never runs', async () => {
    await using one = await onPostgres({ poolMax: 1, timeoutMs: 1_000 })
    const { db } = one.database
    await one.database.migrate()
    await one.database.ping()
    // Without statement_timeout, only the cancel request can stop it.
    await db.execute(sql`set statement_timeout = 0`)
    const sleeping = runRead(() => db.execute(sql`select pg_sleep(60)`))
    const waiting = runWrite(() => db.insert(users).values(person()))

    const outcomes = await Promise.allSettled([sleeping, waiting])
    for (const outcome of outcomes) expect(outcome).toMatchObject({ reason: { code: 'deadline' } })
    const asleep = () =>
      one.admin`select from pg_stat_activity where datname = ${one.name} and query like '%pg_sleep%'`
    await until(async () => (await asleep()).length === 0)
    await until(() =>
      one.database.ping().then(
        () => true,
        () => false,
      ),
    )
    expect(await db.select().from(users)).toEqual([])
  })

  test('backends killed under load lose no slot and no acknowledged row', async () => {
    await using one = await onPostgres({ poolMax: 4 })
    const { db } = one.database
    await one.database.migrate()
    const load = writers(db, 12)

    for (let kills = 0; kills < 40; )
      kills += (
        await one.admin`select pg_terminate_backend(pid) from pg_stat_activity where datname = ${one.name}`
      ).length

    expect(await load.lost()).toEqual([])
    // All at once, so that every slot is used.
    const answers = Array.from({ length: 4 }, () =>
      runRead(() => db.execute(sql`select pg_sleep(0.05)`)),
    )
    expect(await Promise.all(answers)).toHaveLength(4)
  }, 60_000)

  test('a read survives the kill of its idle connection', async () => {
    await using one = await onPostgres({ poolMax: 1 })
    await one.database.ping()
    await one.admin`select pg_terminate_backend(pid) from pg_stat_activity where datname = ${one.name}`
    await one.database.ping()
  })

  test('a violated constraint keeps its connection', async () => {
    await using one = await onPostgres({ poolMax: 1 })
    const { db } = one.database
    await one.database.migrate()
    const pid = async () => {
      const asked = db.select({ pid: sql`pg_backend_pid()` }).from(sql`(select) t`)
      return (await asked)[0]?.pid
    }
    const row = person()
    const add = () => runWrite(() => db.insert(users).values(row))
    await add()
    const before = await pid()

    await expect(add()).rejects.toThrow()

    expect(await pid()).toBe(before)
  })

  test('only a prepared query is a named statement', async () => {
    await using one = await onPostgres({ poolMax: 1 })
    const { db } = one.database
    await one.database.migrate()
    const find = db
      .select()
      .from(users)
      .where(eq(users.id, sql.placeholder('id')))
      .prepare('find')
    const all = db.select().from(users).prepare('all')
    for (let run = 0; run < 3; run++)
      await Promise.all([find.execute({ id: unknownId }), all.execute()])
    await db.select().from(users).where(eq(users.email, ''))

    const named = await db
      .select({ text: sql<string>`statement` })
      .from(sql`pg_prepared_statements`)
    expect(named.map(({ text }) => text.includes(' where ')).toSorted()).toEqual([false, true])
  })

  test('sessions are in UTC with any server setting; transactions on the pool are refused', async () => {
    await using one = await onPostgres()
    await one.admin.unsafe(`alter database ${one.name} set timezone = 'Asia/Tokyo'`)
    await one.admin.unsafe(`alter database ${one.name} set datestyle = 'SQL, DMY'`)
    const { db } = one.database
    const [shown] = await db
      .select({ text: sql`'2026-01-02 03:04:05Z'::timestamptz::text` })
      .from(sql`(select) t`)
    expect(shown?.text).toBe('2026-01-02 03:04:05+00')
    expect(async () => db.transaction(async () => {})).toThrow('one statement per request')
  })
})
