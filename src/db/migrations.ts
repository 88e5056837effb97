import { DatabaseUnavailable, toDatabaseError } from './errors.ts'
import { readMigrations } from './migrations.macro.ts' with { type: 'macro' }

export type Migration = { tag: string; when: number; hash: string; statements: string[] }

/** Sends one statement in the transaction of the migrations. */
export type SendInTransaction = (
  text: string,
  params?: (string | number)[],
) => PromiseLike<Record<string, unknown>[]>

/** This version must not migrate the database; an operator has to decide. */
class MigrationRefused extends Error {
  override readonly name = 'MigrationRefused'
}

/** A statement of a migration failed. The message is PostgreSQL's: a migration contains no data. */
class MigrationFailed extends Error {
  override readonly name = 'MigrationFailed'

  constructor(tag: string, statement: string, { message, code }: Error & { code?: unknown }) {
    const start = statement.trim().replace(/\s+/g, ' ').slice(0, statementCharactersMax)
    super(`migration ${tag} failed: ${message} (${code}), in: ${start}`)
  }
}
const statementCharactersMax = 300
const hasCode = (error: unknown, code: string) =>
  error instanceof Error && 'code' in error && error.code === code

/** The migrations of this version. */
export const knownMigrations: Migration[] = readMigrations()

/** The key of the advisory lock. Any number that no other program locks in this database. */
const lockKey = 7_274_915_001
/** How long to wait for the migration of another instance, or for a table that is in use. */
const lockSeconds = 60

/**
 * Applies the missing migrations in the caller's transaction, and returns their names. Any number of instances may
 * start at once: the lock admits one, and the others find nothing to do.
 *
 * The table is Drizzle's own, so that its tools know the state of the database.
 */
export const applyMigrations = async (
  send: SendInTransaction,
  known = knownMigrations,
): Promise<string[]> => {
  await send(`set local lock_timeout = '${lockSeconds}s'`)
  await send(`set local statement_timeout = 0`)
  // Of Citus, without effect elsewhere: changes of tables that have foreign keys to tables of all nodes need it.
  await send(`set local citus.multi_shard_modify_mode = 'sequential'`)
  await send(`select pg_advisory_xact_lock(${lockKey})`)

  const applied = await appliedBefore(send)
  refuseUnknown(applied, known)
  const missing = known.filter(({ when }) => !applied.has(when))
  for (const { tag, statements, hash, when } of missing) {
    for (const statement of statements)
      try {
        await send(statement)
      } catch (error) {
        const reason = toDatabaseError(error)
        // For a missing permission there is better advice.
        throw reason instanceof DatabaseUnavailable || hasCode(error, '42501')
          ? reason
          : new MigrationFailed(tag, statement, error as Error)
      }
    await send('insert into drizzle.__drizzle_migrations (hash, created_at) values ($1, $2)', [
      hash,
      when,
    ])
  }
  return missing.map(({ tag }) => tag)
}

/**
 * `applied`: the hashes of the applied migrations. `unknown`: the number of those that this version does not have, or has with
 * another hash.
 */
export type MigrationStatus = { applied: string[]; missing: string[]; unknown: number }

/** The state of the database. Without a migrations table, all migrations are missing. */
export const readMigrationStatus = async (
  send: SendInTransaction,
  known = knownMigrations,
): Promise<MigrationStatus> => {
  const [found] = await send(`select to_regclass('drizzle.__drizzle_migrations') as name`)
  const rows = found?.name
    ? await send('select hash, created_at from drizzle.__drizzle_migrations')
    : []
  const applied = new Map(rows.map((row) => [Number(row.created_at), String(row.hash)]))
  const hashes = new Set(known.map(({ hash }) => hash))
  return {
    applied: [...applied.values()],
    missing: known.filter(({ when }) => !applied.has(when)).map(({ tag }) => tag),
    unknown: [...applied.values()].filter((hash) => !hashes.has(hash)).length,
  }
}

/** Maps time → hash. Creates the table only if it is missing: the role may lack the permission to create it. */
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
      throw new MigrationRefused('the database has a migration that this version does not have')
    if (migration.hash !== hash)
      throw new MigrationRefused(`migration ${migration.tag} was edited after it was applied`)
  }
}
