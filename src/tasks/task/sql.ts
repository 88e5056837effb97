import { and, eq, getTableColumns, isNotNull, isNull, type SQL, sql } from 'drizzle-orm'
import { tasks } from '../../db/schema.ts'
import { placeholders, type UserScopeValues } from '../../db/user-scope.ts'

const { user_id, id, deleted_at: _deleted, change: _change, ...others } = getTableColumns(tasks)
/** A row as a client sees it: a Task. */
export const taskColumns = { id, user_id, ...others }

/** A parameter where PostgreSQL cannot guess its type. */
export const param = (name: string, type: string): SQL =>
  sql`${sql.placeholder(name)}::${sql.raw(type)}`
export const nowParam = param('now', 'timestamptz')

/** An array as PostgreSQL reads it, on either driver. */
export const arrayLiteral = (items: readonly (string | number)[]): string =>
  `{${items.map((item) => `"${String(item).replace(/["\\]/g, '\\$&')}"`).join(',')}}`

/** `completed_at` as it follows from what `completed` becomes: kept while a task stays completed. */
export const completionColumns = (completed: SQL) => ({
  completed,
  completed_at: sql`case when ${completed} then coalesce(${tasks.completed_at}, ${nowParam}) end`,
})

/** A user's tasks that are not in the trash, in words that the partial indexes of the lists know. */
export const activeTasksOf = (user: UserScopeValues['user']) =>
  and(eq(tasks.user_id, user), isNull(tasks.deleted_at))
export const trashedTasks = and(eq(tasks.user_id, placeholders.user), isNotNull(tasks.deleted_at))

/**
 * The same in words that fit no index of a list, and that PostgreSQL guesses to hold: before it
 * had statistics, it took one of those to find a task by its id, and read all that the user has.
 */
export const isActive = sql`(${tasks.deleted_at} is null)::int <> 0`
export const isActiveTask = and(eq(tasks.user_id, placeholders.user), isActive)
export const isTrashedTask = and(
  eq(tasks.user_id, placeholders.user),
  sql`(${tasks.deleted_at} is null)::int <> 1`,
)
export const byId = eq(tasks.id, sql.placeholder('id'))

/** A task's row as the JSON text of a Task, for an answer that is kept. */
export const taskJson = (row: Record<keyof typeof taskColumns, unknown>): SQL => {
  const members = Object.entries(taskColumns).map(([name, column]) => {
    const value = row[name as keyof typeof taskColumns]
    const isMoment = column.getSQLType().startsWith('timestamp')
    return sql`${sql.raw(`'${name}'`)}, ${
      isMoment ? sql`to_char(${value} at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"')` : value
    }`
  })
  return sql`json_build_object(${sql.join(members, sql`, `)})`
}
