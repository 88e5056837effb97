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

/** Longer than a machine that has other things to do pauses: what is asked in vain must not be late as well. */
const timeoutMs = 1_000
const slackMs = 10_000

/** What becomes of it: `answered`, or the code of why not. Never later than its deadline asks. */
const outcome = async (work: Promise<unknown>) => {
  const before = performance.now()
  const result = await work.then(
    () => 'answered',
    (error) => (error instanceof DatabaseUnavailable ? error.code : String(error)),
  )
  expect(performance.now() - before).toBeLessThan(timeoutMs + slackMs)
  return result
}

/** Whether as many statements as there are slots are answered at once: one that is stuck would show. */
const answers = ({ db }: Database, slots: number) =>
  Promise.all(
    Array.from({ length: slots }, () => runRead(() => db.execute(sql`select pg_sleep(0.05)`))),
  ).then(
    () => true,
    () => false,
  )

describe.skipIf(!serverUrl)('between the service and its server', () => {
  test('a cancel request that finds nobody harms nothing but its statement', async () => {
    await using proxy = await proxyTo(serverPort())
    await using one = await onPostgres({ poolMax: 2, timeoutMs, via: proxy.port })
    const { database } = one
    await until(() => answers(database, 2))

    const manners = [
      [() => (proxy.way.silent = true), () => (proxy.way.silent = false)],
      [() => (proxy.way.closing = true), () => (proxy.way.closing = false)],
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

  test('a connection that fell silent is left at the deadline, and no slot with it', async () => {
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

  test('the refusal does not wait for the connection to be cut', async () => {
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

  test('a server that takes a while to wake is waited for within the deadline', async () => {
    await using proxy = await proxyTo(serverPort())
    await using one = await onPostgres({ timeoutMs: 8_000, via: proxy.port })
    proxy.way.delayMs = 1_000

    const before = performance.now()
    await one.database.ping()

    expect(performance.now() - before).toBeGreaterThan(900)
  }, 60_000)

  test('one that takes longer is a refusal at the deadline, and works once it is awake', async () => {
    await using proxy = await proxyTo(serverPort())
    await using one = await onPostgres({ poolMax: 2, timeoutMs, via: proxy.port })
    const { database } = one
    await one.database.migrate()
    proxy.way.delayMs = 5_000
    const asleep = [person(), person(), person(), person()]

    const outcomes = await Promise.all(
      asleep.map((row) => outcome(runWrite(() => database.db.insert(users).values(row)))),
    )
    expect(new Set(outcomes)).toEqual(new Set(['deadline']))
    proxy.way.delayMs = 0
    await until(() => answers(database, 2))

    await until(() => answers(database, 2))
    // Nothing is written after its refusal: no connection that it waited for is left.
    await until(async () => proxy.delayed() === 0)
    expect(await database.db.select().from(users)).toEqual([])
  }, 60_000)
})
