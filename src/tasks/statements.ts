import { and, eq, getTableColumns, isNotNull, isNull, lte, type SQL, sql } from 'drizzle-orm'
import type { Db } from '../db/client.ts'
import { always, anyone, partsOf, type Who } from '../db/live.ts'
import { idempotencyKeys, tasks } from '../db/schema.ts'

const { user_id, id, deleted_at: _deleted, change: _change, ...others } = getTableColumns(tasks)
/** A row as a client sees it: a Task. */
export const shown = { id, user_id, ...others }

/** A parameter where PostgreSQL cannot guess its type. */
export const given = (name: string, type: string): SQL =>
  sql`${sql.placeholder(name)}::${sql.raw(type)}`
export const at = given('now', 'timestamptz')

/** An array as PostgreSQL reads it, on either driver. */
export const arrayOf = (items: readonly (string | number)[]): string =>
  `{${items.map((item) => `"${String(item).replace(/["\\]/g, '\\$&')}"`).join(',')}}`

/** `completed_at` as it follows from what `completed` becomes: kept while a task stays completed. */
export const completing = (completed: SQL) => ({
  completed,
  completed_at: sql`case when ${completed} then coalesce(${tasks.completed_at}, ${at}) end`,
})

/** A user's tasks that are not in the trash, in words that the partial indexes of the lists know. */
export const mineLiveOf = (user: Who['user']) =>
  and(eq(tasks.user_id, user), isNull(tasks.deleted_at))
export const mineInTrash = and(eq(tasks.user_id, anyone.user), isNotNull(tasks.deleted_at))

/**
 * The same in words that fit no index of a list, and that PostgreSQL guesses to hold: before it
 * had statistics, it took one of those to find a task by its id, and read all that the user has.
 */
export const isLive = sql`(${tasks.deleted_at} is null)::int <> 0`
export const mineLive = and(eq(tasks.user_id, anyone.user), isLive)
export const mineTrashed = and(
  eq(tasks.user_id, anyone.user),
  sql`(${tasks.deleted_at} is null)::int <> 1`,
)
export const byId = eq(tasks.id, sql.placeholder('id'))

/** A task's row as the JSON text of a Task, for an answer that is kept. */
export const asJson = (row: Record<keyof typeof shown, unknown>): SQL => {
  const members = Object.entries(shown).map(([name, column]) => {
    const value = row[name as keyof typeof shown]
    const isMoment = column.getSQLType().startsWith('timestamp')
    return sql`${sql.raw(`'${name}'`)}, ${
      isMoment ? sql`to_char(${value} at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"')` : value
    }`
  })
  return sql`json_build_object(${sql.join(members, sql`, `)})`
}

/**
 * The parts of a statement that answers an `Idempotency-Key` once.
 *
 * `earlier` is the kept answer, and stops the effect. `keep` writes the answer of this
 * one: of twins that saw no earlier answer, the second breaks the key's uniqueness, and
 * its whole statement is undone.
 */
export const onceParts = (db: Db) => {
  const sameKey = and(
    eq(idempotencyKeys.user_id, anyone.user),
    eq(idempotencyKeys.route, sql.placeholder('route')),
    eq(idempotencyKeys.key, sql.placeholder('key')),
  )
  const earlier = db.$with('earlier').as(
    db
      .select({
        fingerprint: idempotencyKeys.fingerprint,
        body: idempotencyKeys.body,
        etag: idempotencyKeys.etag,
      })
      .from(idempotencyKeys)
      .where(and(sameKey, sql`${idempotencyKeys.expires_at} > ${at}`)),
  )
  const expired = db.$with('expired').as(
    db
      .delete(idempotencyKeys)
      .where(
        and(eq(idempotencyKeys.user_id, anyone.user), lte(idempotencyKeys.expires_at, anyone.now)),
      )
      .returning({ key: idempotencyKeys.key }),
  )
  const { live } = partsOf(db, anyone)
  /**
   * Keeps a `body` (JSON) and an `etag` from a CTE of one row, or none, that the effect is in.
   * The expired go first, since a key may be used anew in the statement that removes it.
   */
  const keep = (body: SQL, etag: SQL, from: SQL) => {
    const row = sql`select ${given('user', 'uuid')}, ${given('route', 'text')},
      ${given('key', 'text')}, ${given('fingerprint', 'text')}, ${body}::text, ${etag}::text,
      ${at} + interval '24 hours' from ${from} where (select count(*) from ${expired}) >= 0
      and exists (select from ${live})`
    return db
      .$with('kept')
      .as(db.insert(idempotencyKeys).select(row).returning({ key: idempotencyKeys.key }))
  }
  const isFirst = sql`not exists (select from ${earlier})`
  return { earlier, expired, keep, isFirst }
}

/** The parts that every statement on tasks may start with. */
export const commonParts = (db: Db) => ({ ...partsOf(db, anyone), always })
