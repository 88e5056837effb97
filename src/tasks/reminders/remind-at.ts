import { type SQL, type SQLWrapper, sql } from 'drizzle-orm'
import { nowParam } from '../../db/params.ts'
import { tasks } from '../../db/schema.ts'

/*
 * `remind_at` of a task is the time from which on its reminders are not delivered yet. A write that changes when a task
 * reminds sets it to the present, and the delivery, which runs soon after, to the time of the next reminder. So writes
 * need no time zone, and reminders in the past are not delivered.
 */

/** Of a new or restored task. */
export const remindFromNow = (task: { reminders: SQLWrapper; completed: SQLWrapper }): SQL =>
  sql`case when ${task.reminders} is not null and not ${task.completed} then ${nowParam} end`

type Deciding = 'reminders' | 'due_at' | 'due_on' | 'completed'
const deciding: Deciding[] = ['reminders', 'due_at', 'due_on', 'completed']

/** The column for a write that sets `set`; none if the write does not change when the task reminds. */
export const remindAtAfter = (set: { [Name in string]?: SQL }): { remind_at?: SQL } => {
  const isSame = deciding.flatMap((name) =>
    set[name] === undefined ? [] : sql`${set[name]} is not distinct from ${tasks[name]}`,
  )
  if (isSame.length === 0) return {}
  const { reminders = sql`${tasks.reminders}`, completed = sql`${tasks.completed}` } = set
  const otherwise = remindFromNow({ reminders, completed })
  return {
    remind_at: sql`case when ${sql.join(isSame, sql` and `)} then ${tasks.remind_at} else ${otherwise} end`,
  }
}
