import { and, asc, gt, sql } from 'drizzle-orm'
import type { Db } from '../../db/database.ts'
import { runRead, runWrite } from '../../db/errors.ts'
import {
  createIdempotencyCtes,
  type IdempotencyKey,
  type KeyInFlight,
  retryOnConflict,
  type StoredResponse,
} from '../../db/idempotency.ts'
import { param } from '../../db/params.ts'
import { withLongDeadline } from '../../db/pool/time-budget.ts'
import { positionAtEndOf } from '../../db/positions.ts'
import { prepareStatement } from '../../db/prepared-statement.ts'
import { tasks } from '../../db/schema.ts'
import {
  createUserScope,
  type Principal,
  placeholders,
  scopeParameters,
  TRUE,
} from '../../db/user-scope.ts'
import { columnDefinitions, insertColumns, newTaskRow, recordsetColumn } from '../task/columns.ts'
import type { NewTask, Task } from '../task/schema.ts'
import { isActiveTask, taskColumns } from '../task/sql.ts'

/** A row of the import statement. Absent members get the default of their column. */
export type ImportedRow = NewTask &
  Pick<Task, 'id' | 'completed' | 'completed_at' | 'created_at'> & {
    /** Its place in the order of the imported tasks, from 1. */
    ord: number
  }
export type ImportOutcome = { count: number } | { storedResponse: StoredResponse } | KeyInFlight

const exportStatement = (db: Db) => {
  const { sessionRow } = createUserScope(db, placeholders)
  const task = db
    .select(taskColumns)
    .from(tasks)
    .where(and(isActiveTask, gt(tasks.id, sql.placeholder('last'))))
    .orderBy(asc(tasks.id))
    .limit(sql.placeholder('rows'))
    .as('task')
  return db.with(sessionRow).select().from(sessionRow).leftJoinLateral(task, TRUE)
}

/** CTEs that insert all rows of the parameter `records`, if `condition` holds. Ids are in the order of the records. */
const createImportCtes = (db: Db, condition = TRUE) => {
  const { nextChange } = createUserScope(db, placeholders)
  const records = sql`jsonb_to_recordset(${param('records', 'jsonb')}) as record (
    id uuid, ord int, ${columnDefinitions}, completed boolean, completed_at timestamptz, created_at timestamptz)`
  const row = newTaskRow(nextChange, {
    id: sql`record.id`,
    position: positionAtEndOf(sql`${nextChange.change}`, sql`record.ord`),
    ...insertColumns(recordsetColumn('record')),
    completed: sql`record.completed`,
    completed_at: sql`record.completed_at`,
    created_at: sql`record.created_at`,
  })
  const rows = sql`select ${row} from ${records}, ${nextChange} where ${condition}`
  const imported = db
    .$with('imported')
    .as(db.insert(tasks).select(rows).returning({ id: tasks.id }))
  const counted = db.$with('counted').as(
    db
      .select({
        count: sql<number>`count(*)::int`.as('count'),
        ids: sql`coalesce(json_agg(${imported.id} order by ${imported.id}), '[]')`.as('ids'),
      })
      .from(imported),
  )
  return { imported, counted }
}

/** One statement inserts all rows or none. */
const importStatement = (db: Db) => {
  const { sessionRow, nextChange } = createUserScope(db, placeholders)
  const { imported, counted } = createImportCtes(db)
  return db
    .with(sessionRow, nextChange, imported, counted)
    .select()
    .from(sessionRow)
    .innerJoin(counted, TRUE)
}

/** The same, once per `Idempotency-Key`. */
const idempotentImportStatement = (db: Db) => {
  const { sessionRow, nextChange } = createUserScope(db, placeholders)
  const { earlierResponse, expired, storeResponse, isFirstUse } = createIdempotencyCtes(db)
  const { imported, counted } = createImportCtes(db, isFirstUse)
  const storedResponse = storeResponse(
    sql`json_build_object('imported', ${counted.count}, 'ids', ${counted.ids})`,
    sql`null`,
    sql`(select * from ${counted} where ${isFirstUse}) as counted`,
  )
  return db
    .with(sessionRow, nextChange, earlierResponse, expired, imported, counted, storedResponse)
    .select()
    .from(sessionRow)
    .innerJoin(counted, TRUE)
    .leftJoin(earlierResponse, TRUE)
}

/** Export and import of a principal; undefined if the session has ended. */
export const createTransferRepository = (db: Db) => {
  const exportTasks = prepareStatement(db, () => exportStatement(db))
  const importTasks = prepareStatement(db, () => importStatement(db))
  const importOnce = prepareStatement(db, () => idempotentImportStatement(db))

  return (principal: Principal) => {
    const scope = () => scopeParameters(principal)
    return {
      /** Tasks after an id, in the order of ids. */
      async page(rows: number, last = '00000000-0000-0000-0000-000000000000') {
        const found = await runRead(() => exportTasks.execute({ ...scope(), rows, last }))
        return found.length === 0 ? undefined : found.flatMap(({ task }) => task ?? [])
      },

      add(rows: ImportedRow[], key?: IdempotencyKey): Promise<ImportOutcome | undefined> {
        const records = JSON.stringify(rows)
        return retryOnConflict(async () => {
          const values = { ...scope(), records }
          if (!key) {
            const [row] = await withLongDeadline(() => runWrite(() => importTasks.execute(values)))
            return row?.counted
          }
          const [row] = await withLongDeadline(() =>
            runWrite(() => importOnce.execute({ ...values, ...key })),
          )
          return row?.earlierResponse ? { storedResponse: row.earlierResponse } : row?.counted
        })
      },
    }
  }
}

export type TransferRepository = ReturnType<typeof createTransferRepository>
