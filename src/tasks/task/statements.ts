import { and, eq, type SQL, sql } from 'drizzle-orm'
import type { Db } from '../../db/database.ts'
import { createIdempotencyCtes } from '../../db/idempotency.ts'
import { nowParam, param } from '../../db/params.ts'
import { positionAtEnd } from '../../db/positions.ts'
import { prepareStatement } from '../../db/prepared-statement.ts'
import { tasks } from '../../db/schema.ts'
import { createUserScope, placeholders, TRUE } from '../../db/user-scope.ts'
import { insertColumns, newTaskRow, parameterOf, patchColumnsFrom } from './columns.ts'
import {
  byId,
  completionColumns,
  isActiveTask,
  isTrashedTask,
  taskColumns,
  taskJson,
} from './sql.ts'

/**
 * Every statement on one task. Prepared by name, a list went from 3 460 to 11 010 requests per second.
 * docs/statements.md shows the SQL.
 */
export const createTaskStatements = (db: Db) => {
  const completion = completionColumns(toggledCompleted)

  return {
    find: prepareStatement(db, () => findStatement(db), { isQuickRead: true }),
    add: prepareStatement(db, () => insertStatement(db)),
    addIdempotent: prepareStatement(db, () => idempotentInsertStatement(db)),
    replace: prepareStatement(db, () =>
      updateStatement(db, {
        ...insertColumns(parameterOf),
        ...completionColumns(param('completed', 'boolean')),
      }),
    ),
    change: prepareStatement(db, () => updateStatement(db, patchColumns)),
    complete: prepareStatement(db, () => updateStatement(db, completion)),
    completeIdempotent: prepareStatement(db, () => idempotentUpdateStatement(db, completion)),
    remove: prepareStatement(db, () => updateStatement(db, { deleted_at: nowParam })),
    restore: prepareStatement(db, () =>
      updateStatement(db, { deleted_at: sql`null` }, and(isTrashedTask, byId)),
    ),
  }
}

/** The parameter, or the negated value of the row itself if the parameter is null. */
const toggledCompleted = sql`coalesce(${param('completed', 'boolean')}, not ${tasks.completed})`

const patchColumns = {
  ...patchColumnsFrom(parameterOf, param('sets', 'text[]')),
  ...completionColumns(sql`coalesce(${param('completed', 'boolean')}, ${tasks.completed})`),
}

const findStatement = (db: Db) => {
  const { sessionRow } = createUserScope(db, placeholders)
  const task = db
    .$with('task')
    .as(db.select(taskColumns).from(tasks).where(and(isActiveTask, byId)))
  return db.with(sessionRow, task).select().from(sessionRow).leftJoin(task, TRUE)
}

const insertStatement = (db: Db) => {
  const { sessionRow, nextChange } = createUserScope(db, placeholders)
  const task = insertTask(db)
  return db.with(sessionRow, nextChange, task).select().from(task)
}

const insertTask = (db: Db, condition?: SQL) => {
  const { nextChange } = createUserScope(db, placeholders)
  const row = newTaskRow(nextChange, {
    id: param('id', 'uuid'),
    position: positionAtEnd(sql`${nextChange.change}`),
    ...insertColumns(parameterOf),
  })
  const rows = sql`select ${row} from ${nextChange} where ${condition ?? TRUE}`
  return db.$with('task').as(db.insert(tasks).select(rows).returning(taskColumns))
}

const idempotentInsertStatement = (db: Db) => {
  const { sessionRow, nextChange } = createUserScope(db, placeholders)
  const { earlierResponse, expired, storeResponse, isFirstUse } = createIdempotencyCtes(db)
  const task = insertTask(db, isFirstUse)
  const storedResponse = storeResponse(taskJson(task), sql`'"1"'`, sql`${task}`)
  return db
    .with(sessionRow, nextChange, earlierResponse, expired, task, storedResponse)
    .select()
    .from(sessionRow)
    .leftJoin(task, TRUE)
    .leftJoin(earlierResponse, TRUE)
}

/**
 * Locks the current row after the user's counter. Expected versions are compared with it, and a 412 reports its
 * version. The snapshot of the statement may be older than the lock.
 */
const lockCurrentRow = (db: Db, where: SQL | undefined) => {
  const { nextChange } = createUserScope(db, placeholders)
  return db
    .$with('current')
    .as(
      db
        .select({ id: tasks.id, version: tasks.version, change: nextChange.change })
        .from(tasks)
        .innerJoin(nextChange, TRUE)
        .where(where)
        .for('update', { of: tasks }),
    )
}

const updateTask = (
  db: Db,
  current: ReturnType<typeof lockCurrentRow>,
  set: Record<string, SQL>,
  condition?: SQL,
) => {
  const versions = sql`${sql.placeholder('versions')}::int[]`
  return db.$with('task').as(
    db
      .update(tasks)
      .set({
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

const updateStatement = (db: Db, set: Record<string, SQL>, where = and(isActiveTask, byId)) => {
  const { sessionRow, nextChange } = createUserScope(db, placeholders)
  const current = lockCurrentRow(db, where)
  const task = updateTask(db, current, set)
  return db
    .with(sessionRow, nextChange, current, task)
    .select()
    .from(sessionRow)
    .leftJoin(current, TRUE)
    .leftJoin(task, TRUE)
}

const idempotentUpdateStatement = (db: Db, set: Record<string, SQL>) => {
  const { sessionRow, nextChange } = createUserScope(db, placeholders)
  const { earlierResponse, expired, storeResponse, isFirstUse } = createIdempotencyCtes(db)
  const current = lockCurrentRow(db, and(isActiveTask, byId))
  const task = updateTask(db, current, set, isFirstUse)
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
