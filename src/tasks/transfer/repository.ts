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
export type ImportedRow = NewTask & Pick<Task, 'id' | 'completed' | 'completed_at' | 'created_at'>
export type ImportOutcome = { count: number } | { storedResponse: StoredResponse } | KeyInFlight

const prepareExport = (db: Db) => {
  const { sessionRow } = createUserScope(db, placeholders)
  const task = db
    .select(taskColumns)
    .from(tasks)
    .where(and(isActiveTask, gt(tasks.id, sql.placeholder('last'))))
    .orderBy(asc(tasks.id))
    .limit(sql.placeholder('rows'))
    .as('task')
  return prepareStatement(db, () =>
    db.with(sessionRow).select().from(sessionRow).leftJoinLateral(task, TRUE),
  )
}

/** One statement inserts all rows or none. */
const prepareImport = (db: Db) => {
  const { sessionRow, nextChange } = createUserScope(db, placeholders)
  const { earlierResponse, expired, storeResponse, isFirstUse } = createIdempotencyCtes(db)
  const rows = sql`jsonb_to_recordset(${param('records', 'jsonb')}) as record (
    id uuid, ${columnDefinitions}, completed boolean, completed_at timestamptz, created_at timestamptz)`
  const row = newTaskRow(nextChange, {
    id: sql`record.id`,
    ...insertColumns(recordsetColumn('record')),
    completed: sql`record.completed`,
    completed_at: sql`record.completed_at`,
    created_at: sql`record.created_at`,
  })
  const drafts = sql`select ${row} from ${rows}, ${nextChange}`
  const insertRows = (condition = sql`true`) =>
    db
      .$with('imported')
      .as(db.insert(tasks).select(sql`${drafts} where ${condition}`).returning({ id: tasks.id }))
  const countRows = (imported: ReturnType<typeof insertRows>) =>
    db
      .$with('counted')
      .as(db.select({ count: sql<number>`count(*)::int`.as('count') }).from(imported))

  const imported = insertRows()
  const counted = countRows(imported)
  const importedIdempotent = insertRows(isFirstUse)
  const countedIdempotent = countRows(importedIdempotent)
  const body = sql`json_build_object('imported', ${countedIdempotent.count})`
  const storedResponse = storeResponse(
    body,
    sql`null`,
    sql`(select * from ${countedIdempotent} where ${isFirstUse}) as counted`,
  )

  return {
    plain: prepareStatement(db, () =>
      db
        .with(sessionRow, nextChange, imported, counted)
        .select()
        .from(sessionRow)
        .innerJoin(counted, TRUE),
    ),
    keyed: prepareStatement(db, () =>
      db
        .with(
          sessionRow,
          nextChange,
          earlierResponse,
          expired,
          importedIdempotent,
          countedIdempotent,
          storedResponse,
        )
        .select()
        .from(sessionRow)
        .innerJoin(countedIdempotent, TRUE)
        .leftJoin(earlierResponse, TRUE),
    ),
  }
}

/** Export and import of a principal; undefined if the session has ended. */
export const createTransferRepository = (db: Db) => {
  const exportStatement = prepareExport(db)
  const importStatements = prepareImport(db)

  return (principal: Principal) => {
    const scope = () => scopeParameters(principal)
    return {
      /** Tasks after an id, in the order of ids. */
      async page(rows: number, last = '00000000-0000-0000-0000-000000000000') {
        const found = await runRead(() => exportStatement.execute({ ...scope(), rows, last }))
        return found.length === 0 ? undefined : found.flatMap(({ task }) => task ?? [])
      },

      add(rows: ImportedRow[], key?: IdempotencyKey): Promise<ImportOutcome | undefined> {
        const records = JSON.stringify(rows)
        return retryOnConflict(async () => {
          if (!key) {
            const [found] = await withLongDeadline(() =>
              runWrite(() => importStatements.plain.execute({ ...scope(), records })),
            )
            return found?.counted
          }
          const values = { ...scope(), ...key, records }
          const [found] = await withLongDeadline(() =>
            runWrite(() => importStatements.keyed.execute(values)),
          )
          return found?.earlierResponse ? { storedResponse: found.earlierResponse } : found?.counted
        })
      },
    }
  }
}

export type TransferRepository = ReturnType<typeof createTransferRepository>
