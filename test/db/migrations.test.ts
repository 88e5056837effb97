import { expect, test } from 'bun:test'
import { generateDrizzleJson } from 'drizzle-kit/api'
import { sql } from 'drizzle-orm'
import postgres from 'postgres'
import { loadTemplate, openPGlite } from '../../src/db/embedded/template.ts'
import { readMigrations } from '../../src/db/migrations.macro.ts'
import { applyMigrations, type Migration, type SendInTransaction } from '../../src/db/migrations.ts'
import * as schema from '../../src/db/schema.ts'
import { inMemory, onPostgres, serverUrl } from '../support/databases.ts'

const [first, ...others] = readMigrations()
const edited = [{ ...first!, hash: 'another' }, ...others]

test('the generated SQL matches the schema', async () => {
  const journal = await Bun.file('drizzle/meta/_journal.json').json()
  const { idx } = journal.entries.at(-1)
  const snapshot = await Bun.file(
    `drizzle/meta/${String(idx).padStart(4, '0')}_snapshot.json`,
  ).json()

  const {
    id: _,
    prevId: __,
    ...drawn
  } = generateDrizzleJson(schema, undefined, undefined, 'snake_case')
  const { id: ___, prevId: ____, ...kept } = snapshot
  expect(JSON.parse(JSON.stringify(drawn))).toEqual(kept)
})

test('the macro inlines the migrations of the folder', async () => {
  const build = await Bun.build({ entrypoints: ['src/db/migrations.ts'], target: 'bun' })
  const text = await build.outputs[0]!.text()
  for (const { hash } of readMigrations()) expect(text).toContain(hash)
  expect(text).not.toContain('_journal.json')
})

test('embedded: an empty database is migrated once, also by eight concurrent runs', async () => {
  await using database = await inMemory()
  await Promise.all(Array.from({ length: 8 }, () => database.migrate()))
  await database.migrate()

  const [row] = await database.db
    .select({ times: sql<number>`count(*)` })
    .from(sql`drizzle.__drizzle_migrations`)
  expect(Number(row?.times)).toBe(readMigrations().length)
})

test('embedded: an edited migration and a newer database are refused', async () => {
  const pglite = await openPGlite({ loadDataDir: await loadTemplate() })
  const run = (known?: Migration[]) =>
    pglite.transaction((tx) =>
      applyMigrations(
        async (text, params) => (await tx.query<Record<string, unknown>>(text, params)).rows,
        known,
      ),
    )
  await run()

  expect(run(edited)).rejects.toThrow(`migration ${first!.tag} was edited after it was applied`)
  await expect(run([])).rejects.toThrow('a migration that this version does not have')
  await pglite.close()
})

test('no later migration has the name of its table in a check, which Citus refuses', () => {
  const checks = readMigrations()
    .slice(4)
    .flatMap(({ statements }) => statements)
    .filter((statement) => /ADD CONSTRAINT [^;]* CHECK/i.test(statement))
  expect(checks.length).toBeGreaterThan(1)
  for (const check of checks) expect(check).not.toMatch(/CHECK .*"\w+"\."/is)
})

test('embedded: no migration after the first release rewrites the tasks, and e-mails lose the dot at their ends', async () => {
  const pglite = await openPGlite({})
  const migrations = readMigrations()
  const run = (known: Migration[]) =>
    pglite.transaction((tx) =>
      applyMigrations(
        async (text, params) => (await tx.query<Record<string, unknown>>(text, params)).rows,
        known,
      ),
    )
  const file = async () =>
    (await pglite.query<{ node: number }>(`select pg_relation_filenode('tasks') as node`)).rows[0]
      ?.node
  await run(migrations.slice(0, 4))
  for (const email of ['a@b.example.', 'c@d.example', 'c@d.example.'])
    await pglite.query(
      `insert into users (id, email, password_hash, created_at) values ($1, $2, 'x', now())`,
      [Bun.randomUUIDv7(), email],
    )
  const before = await file()
  expect(before).toBeGreaterThan(0)
  expect(await run(migrations)).toHaveLength(migrations.length - 4)
  expect(await file()).toBe(before)
  const { rows } = await pglite.query<{ email: string }>('select email from users order by id')
  expect(rows.map(({ email }) => email)).toEqual(['a@b.example', 'c@d.example', 'c@d.example.'])
  await pglite.close()
})

test.skipIf(!serverUrl)(
  'postgres: eight instances at once migrate once, each thing once',
  async () => {
    await using one = await onPostgres()
    const eight = await Promise.all(Array.from({ length: 8 }, () => one.open()))
    await Promise.all(eight.map((database) => database.migrate()))
    await one.database.migrate()

    const [row] = await one.database.db
      .select({ times: sql<number>`count(*)` })
      .from(sql`drizzle.__drizzle_migrations`)
    expect(Number(row?.times)).toBe(readMigrations().length)
    await Promise.all(eight.map((database) => database.close()))
  },
)

test.skipIf(!serverUrl)(
  'postgres: edited and newer are refused, a failed one leaves nothing',
  async () => {
    await using one = await onPostgres()
    const client = postgres(one.url, { max: 1, onnotice: () => {} })
    const run = (known?: Migration[]) =>
      client.begin((tx) => {
        const send: SendInTransaction = (text, params) =>
          tx.unsafe<Record<string, unknown>[]>(text, params)
        return applyMigrations(send, known)
      })
    const broken = { ...first!, statements: [...first!.statements, 'select 1 / 0'] }
    await expect(run([broken])).rejects.toThrow(
      'migration 0000_core failed: division by zero (22012), in: select 1 / 0',
    )
    await run()

    await expect(run(edited)).rejects.toThrow('was edited')
    await expect(run([])).rejects.toThrow('does not have')
    await client.end()
  },
)
