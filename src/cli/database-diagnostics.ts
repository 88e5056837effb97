import { sql } from 'drizzle-orm'
import type { Database, Db } from '../db/database.ts'
import { runRead } from '../db/errors.ts'
import { countExpired } from '../maintenance/purge.ts'
import type { Diagnostic } from './diagnostics.ts'

/** More expired rows than the hourly deletion leaves behind. */
const expiredNote = 10_000
/** A fifth, and this many, is where autovacuum starts by default. */
const dead = { share: 0.2, rows: 50_000 }

/** What the role may do, what the tables contain, and what waits for its deletion. The embedded database has one role. */
export async function* diagnoseContents(
  { db, kind }: Database,
  trashDays: number,
): AsyncGenerator<Diagnostic> {
  if (kind === 'postgres') {
    const grants = await diagnoseGrants(db)
    yield grants
    if (grants.level !== 'ok') return
  }
  yield* await diagnoseTables(db)
  yield await diagnoseBacklog(db, trashDays)
}

/** Whether the role may do what statements do. A missing permission is found here instead of by a request. */
const diagnoseGrants = async (db: Db): Promise<Diagnostic> => {
  const rows = await runRead(() =>
    db
      .select({ table: sql<string>`tablename`, right: sql<string>`needed` })
      .from(sql`pg_tables, unnest(array['select', 'insert', 'update', 'delete']) as needed`)
      .where(
        sql`schemaname = current_schema() and not has_table_privilege(format('%I.%I', schemaname, tablename), needed)`,
      ),
  )
  if (rows.length === 0)
    return { level: 'ok', subject: 'grants', message: 'the role may read and write all tables' }
  const lacking = rows.map(({ table, right }) => `${right} on ${table}`)
  const more = lacking.length > 3 ? `, and ${lacking.length - 3} more` : ''
  return {
    level: 'wrong',
    subject: 'grants',
    message: `the role in DATABASE_URL lacks ${lacking.slice(0, 3).join(', ')}${more}: see "Roles" in docs/operations.md`,
  }
}

/** The size of the tables, and dead rows that autovacuum has not removed. */
const diagnoseTables = async (db: Db): Promise<Diagnostic[]> => {
  const subject = 'tables'
  const rows = await runRead(() =>
    db
      .select({
        table: sql<string>`relname`,
        bytes: sql<number>`pg_total_relation_size(relid)::float8`,
        live: sql<number>`n_live_tup::float8`,
        dead: sql<number>`n_dead_tup::float8`,
      })
      .from(sql`pg_stat_user_tables`)
      .where(sql`schemaname = current_schema()`)
      .orderBy(sql`pg_total_relation_size(relid) desc`),
  )
  const total = rows.reduce((sum, { bytes }) => sum + Number(bytes), 0)
  const largest = rows.slice(0, 3).map(({ table, bytes }) => `${table} ${megabytes(bytes)}`)
  const bloated = rows.filter((row) => row.dead > dead.rows && row.dead > row.live * dead.share)
  return [
    { level: 'ok', subject, message: `${megabytes(total)}: ${largest.join(', ')}` },
    ...bloated.map((row) => ({
      level: 'note' as const,
      subject,
      message: `${row.table} has ${row.dead} dead rows beside ${row.live} live ones: check that autovacuum runs, and that no transaction has been open for hours`,
    })),
  ]
}

const megabytes = (bytes: number) => `${(Number(bytes) / 1e6).toFixed(1)} MB`

/** Expired rows that wait for their deletion. */
const diagnoseBacklog = async (db: Db, trashDays: number): Promise<Diagnostic> => {
  const subject = 'maintenance'
  const count = await countExpired(db, trashDays, expiredNote + 1)
  return count > expiredNote
    ? {
        level: 'note',
        subject,
        message: `more than ${expiredNote} expired rows: the service deletes them every hour; to do it now, run: taskwarden purge`,
      }
    : { level: 'ok', subject, message: `${count} expired rows wait for their deletion` }
}
