import { and, asc, eq, gt, sql } from 'drizzle-orm'
import type { Db } from '../../db/database.ts'
import { retryOnConstraint, runRead, runWrite } from '../../db/errors.ts'
import {
  createIdempotencyCtes,
  type IdempotencyKey,
  type KeyInFlight,
  retryOnConflict,
  type StoredResponse,
} from '../../db/idempotency.ts'
import { arrayLiteral, param } from '../../db/params.ts'
import { withLongDeadline } from '../../db/pool/time-budget.ts'
import { positionAtEndOf } from '../../db/positions.ts'
import { prepareStatement } from '../../db/prepared-statement.ts'
import { lists, tasks } from '../../db/schema.ts'
import {
  createUserScope,
  type Principal,
  placeholders,
  scopeParameters,
  TRUE,
} from '../../db/user-scope.ts'
import {
  columnDefinitions,
  insertColumns,
  inZoneOfUser,
  newTaskRow,
  ownSeries,
  recordsetColumn,
} from '../task/columns.ts'
import type { NewTask, Task } from '../task/schema.ts'
import { isActiveTask, taskColumns, toTask } from '../task/sql.ts'
import type { DroppedMember } from './dropped.ts'
import { type NamedList, namedListCtes } from './lists.ts'

/** A row of the import statement. Absent members get the default of their column. */
export type ImportedRow = NewTask &
  Pick<Task, 'id' | 'completed' | 'completed_at' | 'created_at' | 'series_id'> & {
    /** Its place in the order of the imported tasks, from 1. */
    ord: number
    /** Of the list that is found or created by its name, instead of `list_id`. */
    list_key: string | null
  }
/** What an import creates. */
export type ImportedRows = { rows: ImportedRow[]; named: NamedList[] }
/** For the stored response of an idempotency key: what the import does not keep. */
type Reported = { dropped: DroppedMember[] }
export type ImportOutcome =
  | { count: number }
  | { unknownList: string }
  | 'too-many-lists'
  | { storedResponse: StoredResponse }
  | KeyInFlight
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

/** CTEs that insert all rows of the parameter `records`, if `condition` holds. Ids are in the order of the records. */
const createImportCtes = (db: Db, condition = TRUE) => {
  const { nextChange } = createUserScope(db, placeholders)
  const { proceeds, listOfKey, ...ofLists } = namedListCtes(db, condition)
  const records = sql`jsonb_to_recordset(${param('records', 'jsonb')}) as record (
    id uuid, ord int, list_key text, ${columnDefinitions}, completed boolean, completed_at timestamptz, created_at timestamptz,
    series_id uuid)`
  const row = newTaskRow(nextChange, {
    id: sql`record.id`,
    position: positionAtEndOf(sql`${nextChange.change}`, sql`record.ord`),
    ...insertColumns(inZoneOfUser(recordsetColumn('record'))),
    list_id: sql`coalesce(list_of_key.id, record.list_id)`,
    completed: sql`record.completed`,
    completed_at: sql`record.completed_at`,
    created_at: sql`record.created_at`,
    series_id: sql`coalesce(record.series_id, ${ownSeries(sql`record.recurrence`, sql`record.id`)})`,
  })
  const rows = sql`select ${row} from ${nextChange}, ${records}
    left join ${listOfKey} on list_of_key.key = record.list_key where ${proceeds}`
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
  const { absent, free, unknown, room, madeLists } = ofLists
  const ctes = [absent, free, unknown, room, madeLists, imported, counted] as const
  return { ctes, counted, unknown, room }
}

/** One statement inserts all rows or none. */
const importStatement = (db: Db) => {
  const { sessionRow, nextChange } = createUserScope(db, placeholders)
  const { ctes, counted, unknown, room } = createImportCtes(db)
  return db
    .with(sessionRow, nextChange, ...ctes)
    .select()
    .from(sessionRow)
    .innerJoin(counted, TRUE)
    .innerJoin(room, TRUE)
    .leftJoin(unknown, TRUE)
}

/** The same, once per `Idempotency-Key`. */
const idempotentImportStatement = (db: Db) => {
  const { sessionRow, nextChange } = createUserScope(db, placeholders)
  const { earlierResponse, expired, storeResponse, isFirstUse } = createIdempotencyCtes(db)
  const { ctes, counted, unknown, room } = createImportCtes(db, isFirstUse)
  const isDone = sql`(select has_room from ${room}) and not exists (select from ${unknown})`
  const storedResponse = storeResponse(
    sql`json_build_object('imported', ${counted.count}, 'ids', ${counted.ids}, 'dropped', ${param('dropped', 'json')})`,
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
      async page(
        rows: number,
        last = '00000000-0000-0000-0000-000000000000',
      ): Promise<ExportedTask[] | undefined> {
        const found = await runRead(() => exportTasks.execute({ ...scope(), rows, last }))
        return found.length === 0
          ? undefined
          : found.flatMap(({ task }) => (task ? toTask(task) : []))
      },

      add(
        { rows, named, dropped }: ImportedRows & Reported,
        key?: IdempotencyKey,
      ): Promise<ImportOutcome | undefined> {
        const listIds = new Set(rows.flatMap(({ list_id }) => list_id ?? []))
        const values = {
          records: JSON.stringify(rows),
          named: JSON.stringify(named),
          dropped: JSON.stringify(dropped),
          listIds: arrayLiteral([...listIds]),
        }
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

type ImportAnswer = {
  counted: { count: number }
  room: { has_room: boolean }
  unknown: { unknown: string | null } | null
  earlierResponse?: StoredResponse | null
}

const toOutcome = ({ counted, room, unknown, earlierResponse }: ImportAnswer): ImportOutcome => {
  if (earlierResponse) return { storedResponse: earlierResponse }
  if (unknown?.unknown) return { unknownList: unknown.unknown }
  return room.has_room ? { count: counted.count } : 'too-many-lists'
}
