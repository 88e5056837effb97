import { and, type SQL, sql } from 'drizzle-orm'
import type { Db } from '../../db/database.ts'
import { createIdempotencyCtes } from '../../db/idempotency.ts'
import { nowParam, param } from '../../db/params.ts'
import { positionAtEnd } from '../../db/positions.ts'
import { prepareStatement } from '../../db/prepared-statement.ts'
import { tasks } from '../../db/schema.ts'
import { createUserScope, placeholders, TRUE } from '../../db/user-scope.ts'
import { remindFromNow } from '../reminders/remind-at.ts'
import {
  insertColumns,
  type MemberValue,
  newTaskRow,
  ownSeries,
  parameterOf,
  patchColumnsFrom,
  seriesAfter,
} from './columns.ts'
import {
  byId,
  completionColumns,
  isActiveTask,
  isTrashedTask,
  taskColumns,
  taskJson,
} from './sql.ts'
import {
  idempotentRecurringStatement,
  idempotentUpdateStatement,
  recurringStatement,
  updateStatement,
} from './updates.ts'

/**
 * Every statement on one task. Prepared by name, a list went from 3 460 to 11 010 requests per second.
 * docs/statements.md shows the SQL.
 */
export const createTaskStatements = (db: Db, memberValue: MemberValue = parameterOf) => {
  const { replacement, patchColumns } = columnsFrom(memberValue)
  const completion = completionColumns(toggledCompleted)

  return {
    find: prepareStatement(db, () => findStatement(db), { isQuickRead: true }),
    add: prepareStatement(db, () => insertStatement(db, memberValue)),
    addIdempotent: prepareStatement(db, () => idempotentInsertStatement(db, memberValue)),
    replace: prepareStatement(db, () => updateStatement(db, replacement)),
    change: prepareStatement(db, () => updateStatement(db, patchColumns)),
    complete: prepareStatement(db, () => updateStatement(db, completion)),
    completeIdempotent: prepareStatement(db, () => idempotentUpdateStatement(db, completion)),
    replaceRecurring: prepareStatement(db, () => recurringStatement(db, replacement)),
    changeRecurring: prepareStatement(db, () => recurringStatement(db, patchColumns)),
    completeRecurring: prepareStatement(db, () => recurringStatement(db, completion)),
    completeIdempotentRecurring: prepareStatement(db, () =>
      idempotentRecurringStatement(db, completion),
    ),
    remove: prepareStatement(db, () => updateStatement(db, { deleted_at: nowParam })),
    restore: prepareStatement(db, () => updateStatement(db, restored, and(isTrashedTask, byId))),
  }
}

export type TaskStatements = ReturnType<typeof createTaskStatements>

/** The parameter, or the negated value of the row itself if the parameter is null. */
const toggledCompleted = sql`coalesce(${param('completed', 'boolean')}, not ${tasks.completed})`

/** Reminders that passed while the task was in the trash are not delivered. */
const restored = {
  deleted_at: sql`null`,
  remind_at: remindFromNow({ reminders: tasks.reminders, completed: tasks.completed }),
}

/** What PUT and PATCH set. */
const columnsFrom = (memberValue: MemberValue) => ({
  replacement: {
    ...insertColumns(memberValue),
    series_id: seriesAfter(parameterOf('recurrence')),
    ...completionColumns(param('completed', 'boolean')),
  },
  patchColumns: {
    ...patchColumnsFrom(memberValue, param('sets', 'text[]')),
    series_id: seriesAfter(parameterOf('recurrence')),
    ...completionColumns(sql`coalesce(${param('completed', 'boolean')}, ${tasks.completed})`),
  },
})

const findStatement = (db: Db) => {
  const { sessionRow } = createUserScope(db, placeholders)
  const task = db
    .$with('task')
    .as(db.select(taskColumns).from(tasks).where(and(isActiveTask, byId)))
  return db.with(sessionRow, task).select().from(sessionRow).leftJoin(task, TRUE)
}

/**
 * The insertion is the statement itself, not a part of it: then Citus runs all of it on the node of the user, and needs no other
 * node. Without a row, the session has ended.
 */
const insertStatement = (db: Db, memberValue: MemberValue) => {
  const { sessionRow, nextChange } = createUserScope(db, placeholders)
  return db
    .with(sessionRow, nextChange)
    .insert(tasks)
    .select(newRows(db, memberValue))
    .returning(taskColumns)
}

const newRows = (db: Db, memberValue: MemberValue, condition?: SQL) => {
  const { nextChange } = createUserScope(db, placeholders)
  const row = newTaskRow(nextChange, {
    id: param('id', 'uuid'),
    position: positionAtEnd(sql`${nextChange.change}`),
    series_id: ownSeries(parameterOf('recurrence'), param('id', 'uuid')),
    ...insertColumns(memberValue),
  })
  return sql`select ${row} from ${nextChange} where ${condition ?? TRUE}`
}

const idempotentInsertStatement = (db: Db, memberValue: MemberValue) => {
  const { sessionRow, nextChange } = createUserScope(db, placeholders)
  const { earlierResponse, expired, storeResponse, isFirstUse } = createIdempotencyCtes(db)
  const rows = newRows(db, memberValue, isFirstUse)
  const task = db.$with('task').as(db.insert(tasks).select(rows).returning(taskColumns))
  const storedResponse = storeResponse(taskJson(task), sql`'"1"'`, sql`${task}`)
  return db
    .with(sessionRow, nextChange, earlierResponse, expired, task, storedResponse)
    .select()
    .from(sessionRow)
    .leftJoin(task, TRUE)
    .leftJoin(earlierResponse, TRUE)
}
