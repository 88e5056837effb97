import { and, eq, type SQL, sql } from 'drizzle-orm'
import { unionAll } from 'drizzle-orm/pg-core'
import type { Db } from '../../db/client.ts'
import { createIdempotencyCtes } from '../../db/idempotency.ts'
import { tasks } from '../../db/schema.ts'
import { createUserScope, placeholders, TRUE } from '../../db/user-scope.ts'
import {
  columnDefinitions,
  insertColumns,
  newTaskRow,
  patchColumnsFrom,
  recordsetColumn,
} from '../task/columns.ts'
import { completionColumns, isActive, nowParam, param, taskColumns, taskJson } from '../task/sql.ts'

/** Members are those of `Wanted`; what a merge patch leaves out is told from null by `sets`. */
const operationRows = sql`select * from jsonb_to_recordset(${param('wanted', 'jsonb')}) as wanted (
  ord int, kind text, id uuid, version int, ${columnDefinitions}, completed boolean, sets text[])`
const createdRows = sql`jsonb_to_recordset(${param('created', 'jsonb')}) as draft (
  id uuid, ${columnDefinitions})`

/**
 * By the primary key: of how many rows `wanted` has the planner knows nothing, and it would rather
 * read all that the user has (99 002 rows for a batch of three).
 */
const isInBatch = sql`${tasks.id} = any(${param('ids', 'uuid[]')})`

const w = (name: string) => sql.raw(`"wanted"."${name}"`)
const newCompleted = sql`case ${w('kind')}
  when 'update' then coalesce(${w('completed')}, ${tasks.completed})
  when 'complete' then coalesce(${w('completed')}, not ${tasks.completed})
  else ${tasks.completed} end`

/**
 * One statement, in which every change depends on all of them being possible: what is
 * wanted meets the rows as they are, locked; if one is missing or of another version,
 * `going` has no row, and nothing is done at all.
 */
const createGuards = (db: Db, isFirstUse: SQL | undefined) => {
  const { sessionRow, nextChange } = createUserScope(db, placeholders)
  const operations = db
    .$with('wanted', { ord: sql<number>`"wanted"."ord"`.as('ord') })
    .as(operationRows)
  const current = db.$with('current').as(
    db
      .select({ id: tasks.id, version: tasks.version })
      .from(tasks)
      .innerJoin(nextChange, TRUE)
      .where(and(eq(tasks.user_id, placeholders.user), isActive, isInBatch))
      .for('update', { of: tasks }),
  )
  const refused = db.$with('refused').as(
    db
      .select({
        ord: sql<number>`${w('ord')}`.as('ord'),
        version: sql<number | null>`${current.version}`.as('found'),
      })
      .from(operations)
      .leftJoin(current, sql`${w('id')} = ${current.id}`)
      .where(sql`${current.id} is null or ${w('version')} <> ${current.version}`)
      .orderBy(w('ord'))
      .limit(1),
  )
  const proceed = db.$with('going').as(
    db
      .select({ user_id: nextChange.user_id, change: nextChange.change })
      .from(nextChange)
      .where(and(sql`not exists (select from ${refused})`, isFirstUse)),
  )
  return { sessionRow, nextChange, operations, current, refused, proceed }
}

type Guards = ReturnType<typeof createGuards>

/** And what it comes to, where nothing is refused: every task that was written. */
const createEffects = (db: Db, { operations, proceed }: Guards) => {
  const row = newTaskRow(proceed, { id: sql`draft.id`, ...insertColumns(recordsetColumn('draft')) })
  const rows = sql`select ${row} from ${createdRows}, ${proceed}`
  const created = db.$with('created').as(db.insert(tasks).select(rows).returning(taskColumns))
  const changed = db.$with('changed').as(
    db
      .update(tasks)
      .set({
        ...patchColumnsFrom(recordsetColumn('wanted'), w('sets')),
        ...completionColumns(newCompleted),
        deleted_at: sql`case when ${w('kind')} = 'delete' then ${nowParam} end`,
        version: sql`${tasks.version} + 1`,
        updated_at: nowParam,
        change: sql`${proceed.change}`,
      })
      .from(operations)
      .innerJoin(proceed, TRUE)
      .where(and(eq(tasks.user_id, placeholders.user), isInBatch, sql`${tasks.id} = ${w('id')}`))
      .returning(taskColumns),
  )
  const task = unionAll(db.select().from(created), db.select().from(changed)).as('task')
  return { created, changed, task }
}

const createBatchCtes = (db: Db, isFirstUse?: SQL) => {
  const guards = createGuards(db, isFirstUse)
  return { ...guards, ...createEffects(db, guards) }
}

/** Answers every task that was written, or the first operation that is refused. */
export const batchStatement = (db: Db) => {
  const parts = createBatchCtes(db)
  const { sessionRow, nextChange, operations, current, refused, proceed, created, changed, task } =
    parts
  return db
    .with(sessionRow, nextChange, operations, current, refused, proceed, created, changed)
    .select()
    .from(sessionRow)
    .leftJoin(refused, TRUE)
    .leftJoin(task, TRUE)
}

/** The same, once for each `Idempotency-Key`. */
export const idempotentBatchStatement = (db: Db) => {
  const { earlierResponse, expired, storeResponse, isFirstUse } = createIdempotencyCtes(db)
  const parts = createBatchCtes(db, isFirstUse)
  const { sessionRow, nextChange, operations, current, refused, proceed, created, changed, task } =
    parts
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
    .leftJoin(task, TRUE)
}
