import { and, asc, eq, gt, sql } from 'drizzle-orm'
import type { Db } from '../../db/database.ts'
import { retryOnConstraint, runRead, runWrite } from '../../db/errors.ts'
import {
  createIdempotencyCtes,
  type IdempotencyKey,
  retryOnConflict,
} from '../../db/idempotency.ts'
import { arrayLiteral, param } from '../../db/params.ts'
import { withLongDeadline } from '../../db/pool/time-budget.ts'
import { prepareStatement } from '../../db/prepared-statement.ts'
import { lists, tasks } from '../../db/schema.ts'
import {
  createUserScope,
  type Principal,
  placeholders,
  scopeParameters,
  TRUE,
} from '../../db/user-scope.ts'
import type { NewTask, Task } from '../task/schema.ts'
import { isActiveTask, taskColumns, toTask } from '../task/sql.ts'
import type { DroppedMember } from './dropped.ts'
import { createCheckCtes, createImportCtes } from './import-ctes.ts'
import {
  faultOf,
  type ImportAnswer,
  type ImportFault,
  type ImportOutcome,
  toOutcome,
} from './import-outcome.ts'
import type { NamedList } from './lists.ts'

/** A row of the import statement. In a new task, absent members get the default of their column. */
export type ImportedRow = Partial<NewTask> &
  Pick<Task, 'id' | 'completed_at' | 'series_id'> & {
    /** Its place in the file, from 0. */
    nth: number
    /** The id that the file has, if it may change a task: `sets` lists the members that it changes. */
    known_id: string | null
    sets: string[]
    /** Null if the file does not say. */
    completed: boolean | null
    created_at: string | null
    /** Its place in the order of the imported tasks, from 1. */
    ord: number
    /** Of the list that is found or created by its name, instead of `list_id`. */
    list_key: string | null
  }
/** What an import creates. */
export type ImportedRows = { rows: ImportedRow[]; named: NamedList[] }
/** For the stored response of an idempotency key: what the import does not keep. */
type Reported = { dropped: DroppedMember[] }
/** A task, and the name of its list. */
export type ExportedTask = Task & { list: string | null }

const exportStatement = (db: Db) => {
  const { sessionRow } = createUserScope(db, placeholders)
  const task = db
    .select({ ...taskColumns, list: lists.name })
    .from(tasks)
    .leftJoin(lists, and(eq(lists.user_id, placeholders.user), eq(lists.id, tasks.list_id)))
    .where(and(isActiveTask, gt(tasks.id, sql.placeholder('last'))))
    .orderBy(asc(tasks.id))
    .limit(sql.placeholder('rows'))
    .as('task')
  return db.with(sessionRow).select().from(sessionRow).leftJoinLateral(task, TRUE)
}

/** One statement inserts all rows or none. */
const importStatement = (db: Db) => {
  const { sessionRow, nextChange } = createUserScope(db, placeholders)
  const { ctes, counted, unknown, room, refused } = createImportCtes(db)
  return db
    .with(sessionRow, nextChange, ...ctes)
    .select()
    .from(sessionRow)
    .innerJoin(counted, TRUE)
    .innerJoin(room, TRUE)
    .leftJoin(unknown, TRUE)
    .leftJoin(refused, TRUE)
}

/** The same, once per `Idempotency-Key`. */
const idempotentImportStatement = (db: Db) => {
  const { sessionRow, nextChange } = createUserScope(db, placeholders)
  const { earlierResponse, expired, storeResponse, isFirstUse } = createIdempotencyCtes(db)
  const { ctes, counted, unknown, room, refused } = createImportCtes(db, isFirstUse)
  const isDone = sql`(select has_room from ${room}) and not exists (select from ${unknown})
    and not exists (select from ${refused})`
  const storedResponse = storeResponse(
    sql`json_build_object('imported', ${counted.count}, 'updated', ${counted.updated}, 'ids', ${counted.ids},
      'dropped', ${param('dropped', 'json')})`,
    sql`null`,
    sql`(select * from ${counted} where ${isFirstUse} and ${isDone}) as counted`,
  )
  return db
    .with(sessionRow, nextChange, earlierResponse, expired, ...ctes, storedResponse)
    .select()
    .from(sessionRow)
    .innerJoin(counted, TRUE)
    .innerJoin(room, TRUE)
    .leftJoin(unknown, TRUE)
    .leftJoin(refused, TRUE)
    .leftJoin(earlierResponse, TRUE)
}

/** Whether all rows can be applied. */
const checkStatement = (db: Db) => {
  const { sessionRow } = createUserScope(db, placeholders)
  const { ctes, unknown, room, refused } = createCheckCtes(db)
  return db
    .with(sessionRow, ...ctes)
    .select()
    .from(sessionRow)
    .innerJoin(room, TRUE)
    .leftJoin(unknown, TRUE)
    .leftJoin(refused, TRUE)
}

/** Export and import of a principal; undefined if the session has ended. */
export const createTransferRepository = (db: Db) => {
  const exportTasks = prepareStatement(db, () => exportStatement(db))
  const importTasks = prepareStatement(db, () => importStatement(db))
  const checkTasks = prepareStatement(db, () => checkStatement(db))
  const importOnce = prepareStatement(db, () => idempotentImportStatement(db))

  return (principal: Principal) => {
    const scope = () => scopeParameters(principal)
    return {
      /** Tasks after an id, in the order of ids. */
      async page(
        rows: number,
        last = '00000000-0000-0000-0000-000000000000',
      ): Promise<ExportedTask[] | undefined> {
        const found = await runRead(() => exportTasks.execute({ ...scope(), rows, last }))
        return found.length === 0
          ? undefined
          : found.flatMap(({ task }) => (task ? toTask(task) : []))
      },

      /** Undefined: the session has ended. Null: all rows can be applied. */
      async check(file: ImportedRows): Promise<ImportFault | null | undefined> {
        const values = { ...parametersOf(file), ...scope() }
        const [row] = await withLongDeadline(() => runRead(() => checkTasks.execute(values)))
        return row && faultOf(row)
      },

      add(
        { rows, named, dropped }: ImportedRows & Reported,
        key?: IdempotencyKey,
      ): Promise<ImportOutcome | undefined> {
        const values = { ...parametersOf({ rows, named }), dropped: JSON.stringify(dropped) }
        const run = async () => {
          const all = { ...values, ...scope() }
          const send = () =>
            key ? importOnce.execute({ ...all, ...key }) : importTasks.execute(all)
          const [row] = await withLongDeadline(() => runWrite<ImportAnswer[]>(send))
          return row && toOutcome(row)
        }
        // Another request may create a list meanwhile.
        const runAgain = () => retryOnConstraint('lists_', importsMax, run)
        return retryOnConflict(runAgain)
      },
    }
  }
}

export type TransferRepository = ReturnType<typeof createTransferRepository>

/** How often an import is tried while other requests create lists. */
const importsMax = 10

const parametersOf = ({ rows, named }: ImportedRows) => {
  const listIds = new Set(rows.flatMap(({ list_id }) => list_id ?? []))
  return {
    records: JSON.stringify(rows),
    named: JSON.stringify(named),
    listIds: arrayLiteral([...listIds]),
    knownIds: arrayLiteral(rows.flatMap(({ known_id }) => known_id ?? [])),
  }
}
