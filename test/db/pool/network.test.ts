import { describe, expect, test } from 'bun:test'
import { sql } from 'drizzle-orm'
import type { Database } from '../../../src/db/database.ts'
import { DatabaseUnavailable, runRead, runWrite } from '../../../src/db/errors.ts'
import { users } from '../../../src/db/schema.ts'
import {
  onPostgres,
  person,
  serverPort,
  serverUrl,
  until,
  writers,
} from '../../support/databases.ts'
import { proxyTo } from '../../support/proxy.ts'

/** Longer than the pauses of a busy machine. */
const timeoutMs = 1_000
const slackMs = 10_000

/** The outcome of a statement: `answered` or an error code, never after its deadline. */
const outcome = async (work: Promise<unknown>) => {
  const before = performance.now()
  const result = await work.then(
    () => 'answered',
    (error) => (error instanceof DatabaseUnavailable ? error.code : String(error)),
  )
  expect(performance.now() - before).toBeLessThan(timeoutMs + slackMs)
  return result
}

/** Whether every slot runs a statement at once: a stuck slot would show. */
const answers = ({ db }: Database, slots: number) =>
  Promise.all(
    Array.from({ length: slots }, () => runRead(() => db.execute(sql`select pg_sleep(0.05)`))),
  ).then(
    () => true,
    () => false,
  )

describe.skipIf(!serverUrl)('the network between pool and server', () => {
  test('a refused cancel request affects its statement only', async () => {
    await using proxy = await proxyTo(serverPort())
    await using one = await onPostgres({ poolMax: 2, timeoutMs, via: proxy.port })
    const { database } = one
    await until(() => answers(database, 2))

    const manners = [
      [() => (proxy.behaviour.silent = true), () => (proxy.behaviour.silent = false)],
      [() => (proxy.behaviour.closing = true), () => (proxy.behaviour.closing = false)],
      [proxy.refuse, proxy.listen],
    ] as const
    for (const [begin, end] of manners) {
      const asleep = Array.from({ length: 2 }, () =>
        runRead(() => database.db.execute(sql`select pg_sleep(60)`)),
      )
      begin()
      const outcomes = await Promise.all(asleep.map((sleep) => outcome(sleep)))
      expect(outcomes).toEqual(['deadline', 'deadline'])
      await end()
      await until(() => answers(database, 2))
    }
  }, 60_000)

  test('a silent connection is abandoned at the deadline, and its slot is free', async () => {
    await using proxy = await proxyTo(serverPort())
    await using one = await onPostgres({ poolMax: 4, timeoutMs, via: proxy.port })
    const { database } = one
    await until(() => answers(database, 4))

    proxy.freeze()
    const outcomes = await Promise.all(Array.from({ length: 12 }, () => outcome(database.ping())))
    expect(new Set(outcomes)).toEqual(new Set(['deadline']))
    proxy.thaw()
    await until(() => answers(database, 2))
    await until(() => answers(database, 4))
  }, 60_000)

  test('the rejection does not wait until the connection is closed', async () => {
    await using proxy = await proxyTo(serverPort())
    await using one = await onPostgres({ poolMax: 1, timeoutMs, via: proxy.port })
    const { database } = one
    await until(() => answers(database, 1))

    proxy.freeze()
    const refused = await outcome(database.ping())

    expect([refused, database.pool().used]).toEqual(['deadline', 1])
    proxy.thaw()
    await until(() => answers(database, 1))
  }, 60_000)

  test('connections reset under load lose no acknowledged row and no slot', async () => {
    await using proxy = await proxyTo(serverPort())
    await using one = await onPostgres({ poolMax: 4, via: proxy.port })
    await one.database.migrate()
    const load = writers(one.database.db, 8)

    for (let cuts = 0; cuts < 20; cuts++) {
      const before = load.acknowledged.length
      await until(async () => load.acknowledged.length > before)
      proxy.cut()
    }

    expect(await load.lost()).toEqual([])
    expect(await answers(one.database, 4)).toBe(true)
  }, 60_000)

  test('a slow server is waited for within the deadline', async () => {
    await using proxy = await proxyTo(serverPort())
    await using one = await onPostgres({ timeoutMs: 8_000, via: proxy.port })
    proxy.behaviour.delayMs = 1_000

    const before = performance.now()
    await one.database.ping()

    expect(performance.now() - before).toBeGreaterThan(900)
  }, 60_000)

  test('a slower server is unavailable at the deadline, and works when it is up', async () => {
    await using proxy = await proxyTo(serverPort())
    await using one = await onPostgres({ poolMax: 2, timeoutMs, via: proxy.port })
    const { database } = one
    await one.database.migrate()
    proxy.behaviour.delayMs = 5_000
    const asleep = [person(), person(), person(), person()]

    const outcomes = await Promise.all(
      asleep.map((row) => outcome(runWrite(() => database.db.insert(users).values(row)))),
    )
    expect(new Set(outcomes)).toEqual(new Set(['deadline']))
    proxy.behaviour.delayMs = 0
    await until(() => answers(database, 2))

    await until(() => answers(database, 2))
    // No write runs after its rejection: no connection that it waited for remains.
    await until(async () => proxy.delayed() === 0)
    expect(await database.db.select().from(users)).toEqual([])
  }, 60_000)
})
