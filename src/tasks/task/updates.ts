import { and, eq, type SQL, sql } from 'drizzle-orm'
import type { Db } from '../../db/database.ts'
import { createIdempotencyCtes } from '../../db/idempotency.ts'
import { nowParam } from '../../db/params.ts'
import { tasks } from '../../db/schema.ts'
import { changeOf, createUserScope, isStarted, placeholders, TRUE } from '../../db/user-scope.ts'
import { remindAtAfter } from '../reminders/remind-at.ts'
import { isRecurring, type Recurring, recurringJson, successorCtes } from './recurring.ts'
import { byId, isActiveTask, taskColumns, taskJson } from './sql.ts'

/* The statements that change one task. */

/**
 * Locks the current row after the user's counter. Expected versions are compared with it, and a 412 reports its
 * version. The snapshot of the statement may be older than the lock.
 */
const lockCurrentRow = (db: Db, where: SQL | undefined, set?: Columns) => {
  const { nextChange } = createUserScope(db, placeholders)
  const recurring = isCompletion(set)
    ? sql`case when ${isRecurring(set)} then ${recurringJson(set)} end`
    : sql`null::jsonb`
  return db.$with('current').as(
    db
      .select({
        id: tasks.id,
        version: tasks.version,
        change: changeOf(nextChange),
        recurring: sql<Recurring | null>`${recurring}`.as('recurring'),
      })
      .from(tasks)
      .where(and(where, isStarted(nextChange)))
      .for('update'),
  )
}

/** What a write sets. */
type Columns = Record<string, SQL>
const isCompletion = (set: Columns | undefined): set is Columns & { completed: SQL } =>
  set !== undefined && 'completed' in set

const updateTask = (
  db: Db,
  current: ReturnType<typeof lockCurrentRow>,
  set: Columns,
  condition?: SQL,
) => {
  const versions = sql`${sql.placeholder('versions')}::int[]`
  return db.$with('task').as(
    db
      .update(tasks)
      .set({
        ...remindAtAfter(set),
        ...set,
        version: sql`${tasks.version} + 1`,
        updated_at: nowParam,
        change: sql`${current.change}`,
      })
      .from(current)
      .where(
        and(
          eq(tasks.user_id, placeholders.user),
          // `current` has this row or none.
          byId,
          sql`(${versions} is null or ${current.version} = any(${versions}))`,
          condition,
        ),
      )
      .returning(taskColumns),
  )
}

/** It does nothing with a recurring task that it would complete, but returns it as `current.recurring`. */
export const updateStatement = (db: Db, set: Columns, where = and(isActiveTask, byId)) => {
  const { sessionRow, nextChange } = createUserScope(db, placeholders)
  const current = lockCurrentRow(db, where, set)
  const task = updateTask(db, current, set, isNotRecurring(set))
  return db
    .with(sessionRow, nextChange, current, task)
    .select()
    .from(sessionRow)
    .leftJoin(current, TRUE)
    .leftJoin(task, TRUE)
}

/** Whether `updateStatement` does its work. Without `completed` in `set`, it does it for every task. */
const isNotRecurring = (set: Columns) =>
  isCompletion(set) ? sql`not (${isRecurring(set)})` : undefined

/** The same, once per `Idempotency-Key`. */
export const idempotentUpdateStatement = (db: Db, set: Columns) => {
  const { sessionRow, nextChange } = createUserScope(db, placeholders)
  const { earlierResponse, expired, storeResponse, isFirstUse } = createIdempotencyCtes(db)
  const current = lockCurrentRow(db, and(isActiveTask, byId), set)
  const task = updateTask(db, current, set, and(isFirstUse, isNotRecurring(set)))
  const storedResponse = storeResponse(
    taskJson(task),
    sql`'"' || ${task.version} || '"'`,
    sql`${task}`,
  )
  return db
    .with(sessionRow, nextChange, earlierResponse, expired, current, task, storedResponse)
    .select()
    .from(sessionRow)
    .leftJoin(current, TRUE)
    .leftJoin(task, TRUE)
    .leftJoin(earlierResponse, TRUE)
}

/** Writes a recurring task and its successor. It is conditional on the version that the successor is calculated from. */
export const recurringStatement = (db: Db, set: Columns) => {
  const { sessionRow, nextChange } = createUserScope(db, placeholders)
  const current = lockCurrentRow(db, and(isActiveTask, byId))
  const task = updateTask(db, current, set)
  const { next, kept, removed, tombstone } = successorCtes(db, nextChange, task)
  return db
    .with(sessionRow, nextChange, current, task, next, kept, removed, tombstone)
    .select()
    .from(sessionRow)
    .leftJoin(current, TRUE)
    .leftJoin(task, TRUE)
    .leftJoin(next, TRUE)
    .leftJoin(kept, TRUE)
}

/** The same, once per `Idempotency-Key`; the stored response has the successor as `next`. */
export const idempotentRecurringStatement = (db: Db, set: Columns) => {
  const { sessionRow, nextChange } = createUserScope(db, placeholders)
  const { earlierResponse, expired, storeResponse, isFirstUse } = createIdempotencyCtes(db)
  const current = lockCurrentRow(db, and(isActiveTask, byId))
  const task = updateTask(db, current, set, isFirstUse)
  const { next, kept, removed, tombstone } = successorCtes(db, nextChange, task)
  const storedResponse = storeResponse(
    sql`(${taskJson(task)}::jsonb || jsonb_build_object('next',
      coalesce((select ${taskJson(next)} from ${next}), (select ${taskJson(kept)} from ${kept}))))`,
    sql`'"' || ${task.version} || '"'`,
    sql`${task}`,
  )
  const ctes = [current, task, next, kept, removed, tombstone, storedResponse] as const
  return db
    .with(sessionRow, nextChange, earlierResponse, expired, ...ctes)
    .select()
    .from(sessionRow)
    .leftJoin(current, TRUE)
    .leftJoin(task, TRUE)
    .leftJoin(next, TRUE)
    .leftJoin(kept, TRUE)
    .leftJoin(earlierResponse, TRUE)
}
