import { and, eq, type SQL, type SQLWrapper, sql } from 'drizzle-orm'
import type { Db } from '../../db/database.ts'
import { nowParam, param } from '../../db/params.ts'
import { positionAtEnd } from '../../db/positions.ts'
import { tasks, taskTombstones } from '../../db/schema.ts'
import { placeholders } from '../../db/user-scope.ts'
import {
  type Due,
  type SeriesStart,
  type StoredRecurrence,
  type Successor,
  successorOf,
} from '../../recurrence/next.ts'
import { membersOf, newTaskRow } from './columns.ts'
import { taskColumns } from './sql.ts'

/*
 * Completing a recurring task creates its successor, and undoing that removes an unchanged one. The next due date is not
 * calculated in SQL. So the usual statement does nothing for such a task and returns what the calculation needs, and a
 * second statement, conditional on the version, writes both tasks. docs/decisions/0031 has the reasons.
 */

/** What a task would be after a write that completes it or undoes that; before the write that is not done yet. */
export type Recurring = Due & {
  completed: boolean
  was_completed: boolean
  recurrence: StoredRecurrence | null
  series_start: SeriesStart | null
}

type Written = { completed: SQL; recurrence?: SQL; due_at?: SQL; due_on?: SQL }

/** Whether a write completes a recurring task, or undoes that. */
export const isRecurring = ({ completed, recurrence }: Written): SQL =>
  recurrence === undefined
    ? sql`${tasks.recurrence} is not null`
    : sql`${tasks.completed} <> ${completed} and (${tasks.recurrence} is not null or ${recurrence} is not null)`

/** A `Recurring` as JSON. */
export const recurringJson = (written: Written): SQL => {
  const {
    completed,
    recurrence = tasks.recurrence,
    due_at = tasks.due_at,
    due_on = tasks.due_on,
  } = written
  return sql`jsonb_build_object(
    'completed', ${completed}, 'was_completed', ${tasks.completed}, 'recurrence', ${recurrence},
    'due_at', to_char((${due_at}) at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"'),
    'due_on', ${due_on}, 'series_start', ${tasks.series_start})`
}

/** The successor that the write of a recurring task needs; null if it needs none, or the series has ended. */
export const successorFor = (task: Recurring, now: string): Successor | null => {
  const { completed, was_completed, recurrence } = task
  return completed && !was_completed && recurrence
    ? successorOf({ ...task, recurrence }, now)
    : null
}

/** The parameters of `successorCtes`. */
export const successorParameters = (successor: Successor | null) => ({
  next_id: successor && Bun.randomUUIDv7(),
  next_due_at: successor?.due_at ?? null,
  next_due_on: successor?.due_on ?? null,
  next_recurrence: successor && JSON.stringify(successor.recurrence),
  next_series_start: successor && JSON.stringify(successor.series_start),
})

type WrittenTask = Record<keyof typeof taskColumns, SQLWrapper>

/** A new row for the successor of a task, which has the other members of the task that it follows. */
export const successorRow = (
  scope: { user_id: SQLWrapper; change: SQLWrapper },
  task: WrittenTask,
  row: Record<'id' | 'position' | 'due_at' | 'due_on' | 'recurrence' | 'series_start', SQL>,
): SQL =>
  newTaskRow(scope, {
    ...membersOf(task),
    ...row,
    series_id: sql`${task.series_id}`,
    predecessor_id: sql`${task.id}`,
  })

/**
 * The CTEs that create the successor of a completed task, unless it has one, and that remove an unchanged successor of a
 * task that is no longer completed. `task` is the CTE that has written the task, by one row or none.
 */
export const successorCtes = (
  db: Db,
  nextChange: { user_id: SQLWrapper; change: SQLWrapper } & SQLWrapper,
  task: WrittenTask & SQLWrapper,
) => {
  const isSuccessor = and(
    eq(tasks.user_id, placeholders.user),
    eq(tasks.predecessor_id, sql.placeholder('id')),
  )
  const row = successorRow(nextChange, task, {
    id: param('next_id', 'uuid'),
    position: positionAtEnd(sql`${nextChange.change}`),
    due_at: param('next_due_at', 'timestamptz'),
    due_on: param('next_due_on', 'date'),
    recurrence: param('next_recurrence', 'jsonb'),
    series_start: param('next_series_start', 'jsonb'),
  })
  const rows = sql`select ${row} from ${task}, ${nextChange} where ${param('next_id', 'uuid')} is not null
    and not exists (select from ${tasks} where ${isSuccessor})`
  const next = db.$with('next').as(db.insert(tasks).select(rows).returning(taskColumns))
  const kept = db.$with('kept').as(
    db
      .select(taskColumns)
      .from(tasks)
      .where(
        and(
          isSuccessor,
          sql`${tasks.deleted_at} is null and exists (select from ${task} where ${task.completed})`,
        ),
      ),
  )
  const removed = db.$with('removed').as(
    db
      .delete(tasks)
      .where(
        and(
          isSuccessor,
          sql`${tasks.version} = 1 and ${tasks.deleted_at} is null`,
          sql`exists (select from ${task} where not ${task.completed})`,
        ),
      )
      .returning({ user_id: tasks.user_id, id: tasks.id }),
  )
  return { next, kept, removed, tombstone: tombstonesOf(db, removed, nextChange) }
}

/** The CTE with the tombstones of removed successors, so that copies of the tasks learn of their removal. */
export const tombstonesOf = (
  db: Db,
  removed: { user_id: SQLWrapper; id: SQLWrapper } & SQLWrapper,
  scope: { change: SQLWrapper } & SQLWrapper,
) => {
  const rows = sql`select ${removed.user_id}, ${removed.id}, ${nowParam}, ${nowParam}, ${scope.change}
    from ${removed}, ${scope}`
  return db
    .$with('tombstone')
    .as(db.insert(taskTombstones).select(rows).returning({ id: taskTombstones.id }))
}
