#!/usr/bin/env bun
// The suites of the API on a distributed database: CITUS_URL=postgres://… bun run test:citus [arguments of bun test]
//
// CITUS_URL is the database of a coordinator with at least one worker (docs/operations.md). All its tables are
// deleted.
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import postgres from 'postgres'

const root = join(import.meta.dir, '../..')
const { CITUS_URL: url } = process.env
if (url === undefined) {
  console.error('CITUS_URL: the database of a Citus coordinator, whose tables are deleted')
  process.exit(1)
}

const run = (command: string[], env: Record<string, string>) => {
  const { exitCode } = Bun.spawnSync(command, {
    cwd: root,
    env: { ...process.env, ...env },
    stdio: ['ignore', 'inherit', 'inherit'],
  })
  return exitCode
}

/** One transaction each, as in psql. */
const administer = async (statements: string) => {
  const sql = postgres(url, { max: 1, onnotice: () => {} })
  for (const statement of statements.split(/;\n/)) await sql.unsafe(statement)
  await sql.end()
}

/** Deletes all tables and types. With the schema `public`, Citus would be dropped too. */
const empty = async () => {
  const sql = postgres(url, { max: 1, onnotice: () => {} })
  await sql.unsafe('drop schema if exists drizzle cascade')
  for (const { drop } of await sql.unsafe<{ drop: string }[]>(`
    select format('drop table public.%I cascade', tablename) as drop from pg_tables where schemaname = 'public'
    union all
    select format('drop type public.%I', typname) from pg_type
    where typnamespace = 'public'::regnamespace and typtype = 'e'`))
    await sql.unsafe(drop)
  await sql.end()
}

/** What an operator runs, as the documentation prints it. */
const distribution = () => {
  const page = readFileSync(join(root, 'docs/operations.md'), 'utf8')
  const [, statements] = /```sql citus\n([\s\S]*?)```/.exec(page) ?? []
  if (statements === undefined) throw new Error('docs/operations.md has no block `sql citus`')
  return statements
}

await empty()
const settings = { DATABASE_URL: url, JWT_SECRET: 'a secret that is long enough for the tests' }
if (run(['bun', 'src/main.ts', 'migrate'], settings) !== 0) process.exit(1)
await administer(distribution())

const suites = [
  ...[
    'citus',
    'isolation.test.ts',
    'races.test.ts',
    'auth',
    'tasks',
    'lists',
    'events',
    'webhooks',
  ],
  ...['mail', 'maintenance', 'cli', 'http', 'binary/service.test.ts', 'binary/webhooks.test.ts'],
]
const [, , ...given] = process.argv
const chosen = given.length > 0 ? given : suites.map((name) => `test/${name}`)
process.exit(run(['bun', 'test', '--timeout', '60000', ...chosen], { TEST_DATABASE_URL: url }))
