import { and, asc, gt, sql } from 'drizzle-orm'
import type { Db } from '../../db/client.ts'
import { runRead, runWrite } from '../../db/faults.ts'
import {
  createIdempotencyCtes,
  type IdempotencyKey,
  type KeyInFlight,
  retryOnConflict,
  type StoredResponse,
} from '../../db/idempotency.ts'
import { patiently } from '../../db/patience.ts'
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

import { isActiveTask, param, taskColumns } from '../task/sql.ts'

/** A record as the statement takes it: what it does not say of the task is at its default. */
export type ImportedRow = NewTask & Pick<Task, 'id' | 'completed' | 'completed_at' | 'created_at'>
export type Imported = { count: number } | { storedResponse: StoredResponse } | KeyInFlight

const exportingOf = (db: Db) => {
  const { sessionRow } = createUserScope(db, placeholders)
  const task = db
    .select(taskColumns)
    .from(tasks)
    .where(and(isActiveTask, gt(tasks.id, sql.placeholder('last'))))
    .orderBy(asc(tasks.id))
    .limit(sql.placeholder('rows'))
    .as('task')
  return prepareStatement(
    db,
    db.with(sessionRow).select().from(sessionRow).leftJoinLateral(task, TRUE),
  )
}

/** All rows by one statement: all of them, or none. */
const importingOf = (db: Db) => {
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
  const inserting = (condition = sql`true`) =>
    db
      .$with('imported')
      .as(db.insert(tasks).select(sql`${drafts} where ${condition}`).returning({ id: tasks.id }))
  const countOf = (imported: ReturnType<typeof inserting>) =>
    db
      .$with('counted')
      .as(db.select({ count: sql<number>`count(*)::int`.as('count') }).from(imported))

  const imported = inserting()
  const counted = countOf(imported)
  const importedIdempotent = inserting(isFirstUse)
  const countedIdempotent = countOf(importedIdempotent)
  const body = sql`json_build_object('imported', ${countedIdempotent.count})`
  const storedResponse = storeResponse(
    body,
    sql`null`,
    sql`(select * from ${countedIdempotent} where ${isFirstUse}) as counted`,
  )

  return {
    plain: prepareStatement(
      db,
      db
        .with(sessionRow, nextChange, imported, counted)
        .select()
        .from(sessionRow)
        .innerJoin(counted, TRUE),
    ),
    keyed: prepareStatement(
      db,
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

/** What goes out and comes in of whoever asks; nothing where their session has ended. */
export const createTransferRepository = (db: Db) => {
  const exporting = exportingOf(db)
  const importing = importingOf(db)

  return (principal: Principal) => {
    const parametersOf = () => scopeParameters(principal)
    return {
      /** In the order of ids, from behind one. */
      async page(rows: number, last = '00000000-0000-0000-0000-000000000000') {
        const found = await runRead(() => exporting.execute({ ...parametersOf(), rows, last }))
        return found.length === 0 ? undefined : found.flatMap(({ task }) => task ?? [])
      },

      add(rows: ImportedRow[], idempotencyKey?: IdempotencyKey): Promise<Imported | undefined> {
        const records = JSON.stringify(rows)
        return retryOnConflict(async () => {
          if (!idempotencyKey) {
            const [found] = await patiently(() =>
              runWrite(() => importing.plain.execute({ ...parametersOf(), records })),
            )
            return found?.counted
          }
          const values = { ...parametersOf(), ...idempotencyKey, records }
          const [found] = await patiently(() => runWrite(() => importing.keyed.execute(values)))
          return found?.earlierResponse ? { storedResponse: found.earlierResponse } : found?.counted
        })
      },
    }
  }
}

export type TransferRepository = ReturnType<typeof createTransferRepository>
