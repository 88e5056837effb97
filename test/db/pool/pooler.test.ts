import { afterEach, expect, test } from 'bun:test'
import { sql } from 'drizzle-orm'
import { openDatabase } from '../../../src/db/client.ts'
import { prepareStatement } from '../../../src/db/prepared-statement.ts'
import { serverUrl, until } from '../../support/databases.ts'
import { hasPgBouncer, keepsNames, startPgBouncer } from '../../support/pgbouncer.ts'

const ends: (() => Promise<unknown>)[] = []
afterEach(async () => {
  for (const end of ends.splice(0).reverse()) await end()
})

const through = async (preparedStatementsMax: number, prepare: 'auto' | boolean = 'auto') => {
  const pooler = await startPgBouncer(serverUrl!, preparedStatementsMax)
  ends.push(pooler.stop)
  const url = new URL(serverUrl!)
  url.port = String(pooler.port)
  const settings = { kind: 'postgres', poolMax: 4, timeoutMs: 5_000, prepare } as const
  const database = await openDatabase({ ...settings, url: url.href, migrationUrl: url.href })
  ends.push(() => database.close())
  await until(() =>
    database.ping().then(
      () => true,
      () => false,
    ),
  )
  // The server's name of this statement itself; none if it was sent without one.
  const named = prepareStatement(database.db, () =>
    database.db
      .select({ name: sql<string>`name` })
      .from(sql`pg_prepared_statements`)
      .where(sql`statement like '%of this test%'`),
  )
  const names = async () => {
    const rows = await Promise.all(Array.from({ length: 8 }, () => named.execute({})))
    return rows.flat().map(({ name }) => name)
  }
  return { names }
}

const only = test.skipIf(!serverUrl || !hasPgBouncer)

only('through a pooler that keeps named statements, statements are prepared', async () => {
  const { names } = await through(100)
  if (!keepsNames) {
    expect(await names()).toEqual([])
    return
  }
  await until(async () => (await names()).length > 0)

  expect(new Set((await names()).map((name) => name.replace(/\d+/, '')))).toEqual(
    new Set(['PGBOUNCER_']),
  )
})

only('through a pooler that does not, none is, and none fails', async () => {
  const { names } = await through(0)

  for (let round = 0; round < 20; round++) expect(await names()).toEqual([])
})
