import { expect, test } from 'bun:test'
import { mkdirSync, statSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { eq, sql } from 'drizzle-orm'
import { openDatabase } from '../../../src/db/client.ts'
import { only } from '../../../src/db/database.ts'
import { DataDirectoryInUse } from '../../../src/db/embedded/data-directory.ts'
import { users } from '../../../src/db/schema.ts'
import { directory, inMemory, person } from '../../support/databases.ts'

const at = (dataDir: string) => openDatabase({ kind: 'embedded', dataDir, timeoutMs: 5_000 })
test('data survives close and reopen, and the files are private', async () => {
  using folder = directory()
  const ada = person()
  const first = await at(join(folder.path, 'data'))
  await first.migrate()
  await first.db.insert(users).values(ada)

  expect(statSync(join(folder.path, 'data')).mode & 0o777).toBe(0o700)
  expect(statSync(join(folder.path, 'data/cluster')).mode & 0o777).toBe(0o700)
  await first.close()

  const second = await at(join(folder.path, 'data'))
  await second.migrate()
  const found = only(await second.db.select().from(users).where(eq(users.id, ada.id)))
  expect(found).toEqual({
    ...ada,
    name: null,
    disabled_at: null,
    email_verified_at: null,
    is_verification_due: false,
    pending_email: null,
    time_zone: 'UTC',
    reminders_by_mail: false,
  })
  await second.close()
})

test('a second process is refused until the first has ended', async () => {
  using folder = directory()
  const first = await at(folder.path)
  const script = `
    import { openDatabase } from '${import.meta.dir}/../../../src/db/client.ts'
    const opened = await openDatabase({ kind: 'embedded', dataDir: '${folder.path}', timeoutMs: 5000 }).catch(
      (error) => error,
    )
    console.log(opened.message ?? 'opened')
    await opened.close?.()`
  const other = async () =>
    (await new Response(Bun.spawn([process.execPath, '-e', script]).stdout).text()).trim()

  expect(await other()).toBe(`the data directory ${folder.path} is in use by another process`)
  expect(at(folder.path)).rejects.toBeInstanceOf(DataDirectoryInUse)
  await first.close()
  expect(await other()).toBe('opened')
})

test('a start that was killed while unpacking is repeated', async () => {
  using folder = directory()
  mkdirSync(join(folder.path, 'cluster.unpacking/base'), { recursive: true })
  writeFileSync(join(folder.path, 'cluster.unpacking/PG_VERSION'), '18\n')

  const database = await at(folder.path)
  await database.ping()
  await database.close()
})

test('sessions are in UTC, and the observer sees statements with parameters', async () => {
  const seen: unknown[] = []
  await using database = await inMemory((...statement) => seen.push(statement))
  const [row] = await database.db
    .select({ zone: sql`current_setting('TimeZone')` })
    .from(sql`(select ${7}) t`)
  expect(row?.zone).toBe('UTC')
  expect(seen).toEqual([[`select current_setting('TimeZone') from (select $1) t`, [7]]])
})

test('tables get statistics, although PGlite has no autovacuum', async () => {
  await using database = await inMemory()
  await database.migrate()
  const rows = Array.from({ length: 50 }, person)
  await database.db.insert(users).values(rows)
  const analyzed = async () => {
    const [row] = await database.db
      .select({ rows: sql<number>`reltuples::int` })
      .from(sql`pg_class`)
      .where(sql`relname = 'users'`)
    return row?.rows
  }
  expect(await analyzed()).toBe(-1)

  const { now } = performance
  const afterInterval = now.call(performance) + 61_000
  performance.now = () => afterInterval
  await database.ping()
  performance.now = now

  expect(await analyzed()).toBe(50)
})
