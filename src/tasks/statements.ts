import { and, eq, getTableColumns, isNotNull, isNull, type SQL, sql } from 'drizzle-orm'
import { anyone, type Who } from '../db/live.ts'
import { tasks } from '../db/schema.ts'

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
