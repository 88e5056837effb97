import { and, eq, type SQL, type SQLWrapper, sql } from 'drizzle-orm'
import { unionAll } from 'drizzle-orm/pg-core'
import type { Db } from '../../db/database.ts'
import { createIdempotencyCtes } from '../../db/idempotency.ts'
import { nowParam, param } from '../../db/params.ts'
import { positionAtEndOf } from '../../db/positions.ts'
import { lists, tasks } from '../../db/schema.ts'
import { createUserScope, placeholders, TRUE } from '../../db/user-scope.ts'
import {
  columnDefinitions,
  insertColumns,
  newTaskRow,
  patchColumnsFrom,
  recordsetColumn,
} from '../task/columns.ts'
import { completionColumns, isActive, taskColumns, taskJson } from '../task/sql.ts'

/** The members of `BatchOperation`. `sets` distinguishes members that are absent in a merge patch from null. */
const operationRows = sql`select * from jsonb_to_recordset(${param('operations', 'jsonb')}) as operations (
  ord int, kind text, id uuid, version int, ${columnDefinitions}, completed boolean, sets text[])`
const draftRows = sql`jsonb_to_recordset(${param('drafts', 'jsonb')}) as draft (
  id uuid, ord int, ${columnDefinitions})`

/**
 * Uses the primary key. The planner does not know how many operations there are; without this condition it read all
 * tasks of the user (99 002 rows for a batch of three).
 */
const isInBatch = sql`${tasks.id} = any(${param('ids', 'uuid[]')})`

/** The lists that the batch names and the user does not have. */
const missingLists = sql`select named.missing from unnest(${param('lists', 'uuid[]')}) as named (missing)
  where not exists (
    select from ${lists} where ${lists.user_id} = ${placeholders.user} and ${lists.id} = named.missing)
  limit 1`

const member = (name: string) => sql.raw(`"operations"."${name}"`)
const newCompleted = sql`case ${member('kind')}
  when 'update' then coalesce(${member('completed')}, ${tasks.completed})
  when 'complete' then coalesce(${member('completed')}, not ${tasks.completed})
  else ${tasks.completed} end`

/** After the patch, a task would have a time and a day. */
const hasTwoDues = (current: { due_at: SQLWrapper; due_on: SQLWrapper }) => {
  const after = (name: 'due_at' | 'due_on') =>
    sql`case when ${sql.raw(`'${name}'::text`)} = any(${member('sets')}) then ${member(name)} is not null
      else ${current[name]} is not null end`
  return sql`(${after('due_at')} and ${after('due_on')})`
}

/** An empty patch changes nothing, as in PATCH. */
const isUnchanged = sql`(${member('kind')} = 'update' and ${member('sets')} = '{}' and ${member('completed')} is null)`

/**
 * The CTEs that make the batch all or nothing. They lock the current rows and compare them with the operations. If a
 * row is missing or has another version, `proceed` has no row, and no writing CTE has an effect.
 */
const createGuards = (db: Db, isFirstUse: SQL | undefined) => {
  const { sessionRow, nextChange } = createUserScope(db, placeholders)
  const operations = db
    .$with('operations', { ord: sql<number>`"operations"."ord"`.as('ord') })
    .as(operationRows)
  const current = db.$with('current').as(
    db
      .select({ id: tasks.id, version: tasks.version, due_at: tasks.due_at, due_on: tasks.due_on })
      .from(tasks)
      .innerJoin(nextChange, TRUE)
      .where(and(eq(tasks.user_id, placeholders.user), isActive, isInBatch))
      .for('update', { of: tasks }),
  )
  const refused = db.$with('refused').as(
    db
      .select({
        ord: sql<number>`${member('ord')}`.as('ord'),
        version: sql<number | null>`${current.version}`.as('found'),
      })
      .from(operations)
      .leftJoin(current, sql`${member('id')} = ${current.id}`)
      .where(
        sql`${current.id} is null or ${member('version')} <> ${current.version} or ${hasTwoDues(current)}`,
      )
      .orderBy(member('ord'))
      .limit(1),
  )
  const missingList = db
    .$with('missing_list', { missing: sql<string>`"missing_list"."missing"`.as('missing') })
    .as(missingLists)
  const proceed = db.$with('proceed').as(
    db
      .select({ user_id: nextChange.user_id, change: nextChange.change })
      .from(nextChange)
      .where(
        and(
          sql`not exists (select from ${refused})`,
          sql`not exists (select from ${missingList})`,
          isFirstUse,
        ),
      ),
  )
  return { sessionRow, nextChange, operations, current, refused, missingList, proceed }
}

type Guards = ReturnType<typeof createGuards>

/** The writing CTEs, and all tasks that they wrote. */
const createEffects = (db: Db, { operations, proceed }: Guards) => {
  const row = newTaskRow(proceed, {
    id: sql`draft.id`,
    position: positionAtEndOf(sql`${proceed.change}`, sql`draft.ord`),
    ...insertColumns(recordsetColumn('draft')),
  })
  const rows = sql`select ${row} from ${draftRows}, ${proceed}`
  const created = db.$with('created').as(db.insert(tasks).select(rows).returning(taskColumns))
  const changed = db.$with('changed').as(
    db
      .update(tasks)
      .set({
        ...patchColumnsFrom(recordsetColumn('operations'), member('sets')),
        ...completionColumns(newCompleted),
        deleted_at: sql`case when ${member('kind')} = 'delete' then ${nowParam} end`,
        version: sql`${tasks.version} + case when ${isUnchanged} then 0 else 1 end`,
        updated_at: sql`case when ${isUnchanged} then ${tasks.updated_at} else ${nowParam} end`,
        change: sql`case when ${isUnchanged} then ${tasks.change} else ${proceed.change} end`,
      })
      .from(operations)
      .innerJoin(proceed, TRUE)
      .where(
        and(eq(tasks.user_id, placeholders.user), isInBatch, sql`${tasks.id} = ${member('id')}`),
      )
      .returning(taskColumns),
  )
  const task = unionAll(db.select().from(created), db.select().from(changed)).as('task')
  return { created, changed, task }
}

const createBatchCtes = (db: Db, isFirstUse?: SQL) => {
  const guards = createGuards(db, isFirstUse)
  return { ...guards, ...createEffects(db, guards) }
}

/** Returns all written tasks, or the first operation that is refused. */
export const batchStatement = (db: Db) => {
  const ctes = createBatchCtes(db)
  const { sessionRow, nextChange, operations, current, refused, missingList, proceed } = ctes
  const { created, changed, task } = ctes
  return db
    .with(
      sessionRow,
      nextChange,
      operations,
      current,
      refused,
      missingList,
      proceed,
      created,
      changed,
    )
    .select()
    .from(sessionRow)
    .leftJoin(refused, TRUE)
    .leftJoin(missingList, TRUE)
    .leftJoin(task, TRUE)
}

/** The same, once per `Idempotency-Key`. */
export const idempotentBatchStatement = (db: Db) => {
  const { earlierResponse, expired, storeResponse, isFirstUse } = createIdempotencyCtes(db)
  const ctes = createBatchCtes(db, isFirstUse)
  const { sessionRow, nextChange, operations, current, refused, missingList, proceed } = ctes
  const { created, changed, task } = ctes
  const done = db.$with('done').as(
    db
      .select({ body: sql`json_agg(${taskJson(task)})`.as('body') })
      .from(task)
      .having(sql`count(*) > 0`),
  )
  const storedResponse = storeResponse(sql`body`, sql`null`, sql`${done}`)
  return db
    .with(
      sessionRow,
      nextChange,
      earlierResponse,
      expired,
      operations,
      current,
      refused,
      missingList,
      proceed,
      created,
      changed,
      done,
      storedResponse,
    )
    .select()
    .from(sessionRow)
    .leftJoin(earlierResponse, TRUE)
    .leftJoin(refused, TRUE)
    .leftJoin(missingList, TRUE)
    .leftJoin(task, TRUE)
}
