import { readMigrations } from './migrations.macro.ts' with { type: 'macro' }

export type Migration = { tag: string; when: number; hash: string; statements: string[] }

/** Sends one statement inside the transaction that the migrations run in. */
export type SendInTransaction = (
  text: string,
  params?: (string | number)[],
) => PromiseLike<Record<string, unknown>[]>

/** The database is not one that this binary may bring up to date; a human has to look. */
class MigrationRefused extends Error {
  override readonly name = 'MigrationRefused'
}

const migrations: Migration[] = readMigrations()

/** Any number, as long as nobody else locks it in this database. */
const lockKey = 7_274_915_001
/** Longest wait for another instance's migration, or for a table that somebody uses. */
const lockSeconds = 60

/**
 * Applies what is missing, in one transaction of the caller's: all or nothing, and tells their
 * names. Any number of instances may start at once; the lock lets one work, and the others
 * find it done.
 *
 * The table is Drizzle's own, so that its tools know where the database stands.
 */
export const applyMigrations = async (
  send: SendInTransaction,
  known = migrations,
): Promise<string[]> => {
  await send(`set local lock_timeout = '${lockSeconds}s'`)
  await send(`set local statement_timeout = 0`)
  await send(`select pg_advisory_xact_lock(${lockKey})`)

  const applied = await appliedBefore(send)
  refuseUnknown(applied, known)
  const missing = known.filter(({ when }) => !applied.has(when))
  for (const { statements, hash, when } of missing) {
    for (const statement of statements) await send(statement)
    await send('insert into drizzle.__drizzle_migrations (hash, created_at) values ($1, $2)', [
      hash,
      when,
    ])
  }
  return missing.map(({ tag }) => tag)
}

/** `unknown`: how many were applied that this version does not know, or knows otherwise. */
export type MigrationStatus = { missing: string[]; unknown: number }

/** Where the database stands; all are missing where there is no table of migrations yet. */
export const readMigrationStatus = async (
  send: SendInTransaction,
  known = migrations,
): Promise<MigrationStatus> => {
  const [found] = await send(`select to_regclass('drizzle.__drizzle_migrations') as name`)
  const rows = found?.name
    ? await send('select hash, created_at from drizzle.__drizzle_migrations')
    : []
  const applied = new Map(rows.map((row) => [Number(row.created_at), String(row.hash)]))
  const hashes = new Set(known.map(({ hash }) => hash))
  return {
    missing: known.filter(({ when }) => !applied.has(when)).map(({ tag }) => tag),
    unknown: [...applied.values()].filter((hash) => !hashes.has(hash)).length,
  }
}

/** When → hash. Makes the table only where it is missing: a role may use it that may not make it. */
const appliedBefore = async (send: SendInTransaction): Promise<Map<number, string>> => {
  const [found] = await send(`select to_regclass('drizzle.__drizzle_migrations') as name`)
  if (!found?.name) {
    await send('create schema if not exists drizzle')
    await send(
      'create table drizzle.__drizzle_migrations (id serial primary key, hash text not null, created_at bigint)',
    )
  }
  const rows = await send('select hash, created_at from drizzle.__drizzle_migrations')
  return new Map(rows.map((row) => [Number(row.created_at), String(row.hash)]))
}

const refuseUnknown = (applied: Map<number, string>, known: Migration[]) => {
  for (const [when, hash] of applied) {
    const migration = known.find((candidate) => candidate.when === when)
    if (!migration)
      throw new MigrationRefused('the database has a migration that this version does not know')
    if (migration.hash !== hash)
      throw new MigrationRefused(`migration ${migration.tag} was edited after it was applied`)
  }
}
