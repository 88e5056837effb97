import { and, eq, getTableColumns, isNotNull, isNull, type SQL, sql } from 'drizzle-orm'
import { nowParam } from '../../db/params.ts'
import { originalPosition } from '../../db/positions.ts'
import { taskPosition, tasks } from '../../db/schema.ts'
import { placeholders, type UserScopeValues } from '../../db/user-scope.ts'
import type { Task } from './schema.ts'

const {
  user_id,
  id,
  deleted_at: _deleted,
  change: _change,
  predecessor_id: _predecessor,
  series_start: _start,
  remind_at: _remindAt,
  ...others
} = getTableColumns(tasks)
/** The columns of a Task. `toTask` makes it one. */
export const taskColumns = { id, user_id, ...others }

/** A task as it is stored: without a position if it is from before positions, and without a list of no reminders. */
export type StoredTask = Omit<Task, 'position' | 'reminders'> & {
  position: string | null
  reminders: Task['reminders'] | null
}

/**
 * The task of a row. Its position is completed here, because PostgreSQL took longer for the expression of `taskPosition` than for
 * reading the row (a mix of requests 0.83 of the throughput without). An empty list as JSON in each row was 0.9 of the throughput of
 * a page.
 */
export const toTask = <Row extends StoredTask>(row: Row): Row & Task => {
  row.position ??= originalPosition(row.id)
  row.reminders ??= []
  return row as Row & Task
}

/** Sets `completed`; `completed_at` stays the same while a task stays completed. */
export const completionColumns = (completed: SQL) => ({
  completed,
  completed_at: sql`case when ${completed} then coalesce(${tasks.completed_at}, ${nowParam}) end`,
})

/** The tasks of a user that are not in the trash, in the form of the partial indexes. */
export const activeTasksOf = (user: UserScopeValues['user']) =>
  and(eq(tasks.user_id, user), isNull(tasks.deleted_at))
export const trashedTasks = and(eq(tasks.user_id, placeholders.user), isNotNull(tasks.deleted_at))

/**
 * The same condition in a form that matches no partial index. With the other form and without statistics, PostgreSQL
 * used a list index to find one task by its id, and read all tasks of the user.
 */
export const isActive = sql`(${tasks.deleted_at} is null)::int <> 0`
export const isActiveTask = and(eq(tasks.user_id, placeholders.user), isActive)
export const isTrashedTask = and(
  eq(tasks.user_id, placeholders.user),
  sql`(${tasks.deleted_at} is null)::int <> 1`,
)
export const byId = eq(tasks.id, sql.placeholder('id'))

/** A row as the JSON text of a Task, for a stored response. */
export const taskJson = (row: Record<keyof typeof taskColumns, unknown>): SQL => {
  const members = Object.entries(taskColumns).map(([name, column]) => {
    const value = row[name as keyof typeof taskColumns]
    const isTimestamp = column.getSQLType().startsWith('timestamp')
    if (column === tasks.position)
      return sql`'position', ${taskPosition({ position: sql`${value}`, id: sql`${row.id}` })}`
    if (column === tasks.reminders) return sql`'reminders', coalesce(${value}, '[]')`
    return sql`${sql.raw(`'${name}'`)}, ${
      isTimestamp
        ? sql`to_char(${value} at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"')`
        : value
    }`
  })
  return sql`json_build_object(${sql.join(members, sql`, `)})`
}
