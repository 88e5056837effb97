import { and, eq, type SQL, sql } from 'drizzle-orm'
import type { Db } from '../../db/database.ts'
import { nowParam, param } from '../../db/params.ts'
import { positionAtEndOf } from '../../db/positions.ts'
import { tasks } from '../../db/schema.ts'
import { createUserScope, isStarted, placeholders, TRUE } from '../../db/user-scope.ts'
import { remindAtAfter } from '../reminders/remind-at.ts'
import {
  columnDefinitions,
  insertColumns,
  inZoneOfUser,
  isContradiction,
  newTaskRow,
  ownSeries,
  patchColumnsFrom,
  recordsetColumn,
  seriesAfter,
} from '../task/columns.ts'
import { isActive } from '../task/sql.ts'
import { namedListCtes } from './lists.ts'

const memberOf = recordsetColumn('record')
const inZone = inZoneOfUser(memberOf)
const sets = sql`"record"."sets"`

/** The CTEs that read the rows, lock the tasks that they name (not in a dry run), and find a row that cannot be applied. */
const createImportGuards = (db: Db, { isDryRun = false } = {}) => {
  const { nextChange } = createUserScope(db, placeholders)
  const record = db
    .$with('record', { nth: sql<number>`"record"."nth"`.as('nth') })
    .as(sql`select * from jsonb_to_recordset(${param('records', 'jsonb')}) as record (
      id uuid, ord int, nth int, known_id uuid, sets text[], list_key text, ${columnDefinitions}, completed boolean,
      completed_at timestamptz, created_at timestamptz, series_id uuid)`)
  const named = and(
    eq(tasks.user_id, placeholders.user),
    isActive,
    sql`${tasks.id} = any(${param('knownIds', 'uuid[]')})`,
  )
  const { id, due_at, due_on, recurrence } = tasks
  const read = db.select({ id, due_at, due_on, recurrence }).from(tasks)
  const known = db
    .$with('known')
    .as(isDryRun ? read.where(named) : read.where(and(named, isStarted(nextChange))).for('update'))
  const isIncomplete = sql`(record.title is null or (record.recurrence is not null and record.due_at is null and record.due_on is null))`
  const refused = db
    .$with('refused', {
      nth: sql<number>`"refused"."refused_nth"`.as('refused_nth'),
      is_known: sql<boolean>`"refused"."is_known"`.as('is_known'),
    })
    .as(sql`select record.nth as refused_nth, ${known.id} is not null as is_known
      from ${record} left join ${known} on ${known.id} = record.known_id
      where case when ${known.id} is null then ${isIncomplete} else ${isContradiction(known, memberOf, sets)} end
      order by record.nth limit 1`)
  return { record, known, refused }
}

type Guards = ReturnType<typeof createImportGuards>

/** Changes the tasks that the rows name. Members that a row does not have stay. */
const changeKnownTasks = (
  db: Db,
  { record, known }: Pick<Guards, 'record' | 'known'>,
  list: SQL,
  proceeds: SQL,
) => {
  const completed = sql`coalesce("record"."completed", ${tasks.completed})`
  const { nextChange } = createUserScope(db, placeholders)
  const patch = patchColumnsFrom(inZone, sets)
  return db.$with('changed').as(
    db
      .update(tasks)
      .set({
        ...remindAtAfter({ ...patch, completed }),
        ...patch,
        list_id: sql`case when 'list_id' = any(${sets}) then ${list} else ${tasks.list_id} end`,
        series_id: seriesAfter(memberOf('recurrence')),
        completed,
        completed_at: sql`case when ${completed} then coalesce("record"."completed_at", ${tasks.completed_at}, ${nowParam}) end`,
        version: sql`${tasks.version} + 1`,
        updated_at: nowParam,
        change: sql`${nextChange.change}`,
      })
      .from(record)
      .innerJoin(nextChange, TRUE)
      .innerJoin(known, sql`${known.id} = "record"."known_id"`)
      .where(and(eq(tasks.user_id, placeholders.user), sql`${tasks.id} = ${known.id}`, proceeds))
      .returning({ id: tasks.id }),
  )
}

/**
 * CTEs that create a task for each row of the parameter `records`, or change the one with its `known_id`, if `condition` holds.
 * They do nothing if `refused` has a row: a new task without a title, or one whose members contradict each other.
 */
export const createImportCtes = (db: Db, condition = TRUE) => {
  const { nextChange } = createUserScope(db, placeholders)
  const { record, known, refused } = createImportGuards(db)
  const { proceeds, listOfKey, ...ofLists } = namedListCtes(
    db,
    sql`not exists (select from ${refused}) and ${condition}`,
  )
  const list = sql`coalesce((select list_of_key.id from ${listOfKey} where list_of_key.key = record.list_key), record.list_id)`
  const row = newTaskRow(nextChange, {
    id: sql`record.id`,
    position: positionAtEndOf(sql`${nextChange.change}`, sql`record.ord`),
    ...insertColumns(inZone),
    list_id: list,
    completed: sql`coalesce(record.completed, false)`,
    completed_at: sql`case when record.completed then coalesce(record.completed_at, ${nowParam}) end`,
    created_at: sql`coalesce(record.created_at, ${nowParam})`,
    series_id: sql`coalesce(record.series_id, ${ownSeries(sql`record.recurrence`, sql`record.id`)})`,
  })
  const rows = sql`select ${row} from ${nextChange}, ${record}
    left join ${known} on ${known.id} = record.known_id where ${known.id} is null and ${proceeds}`
  const imported = db
    .$with('imported')
    .as(db.insert(tasks).select(rows).returning({ id: tasks.id }))
  const changed = changeKnownTasks(db, { record, known }, list, proceeds)
  const counted = db.$with('counted').as(
    db
      .select({
        count: sql<number>`(select count(*) from ${imported})::int`.as('count'),
        updated: sql<number>`(select count(*) from ${changed})::int`.as('updated'),
        ids: sql<
          string[]
        >`coalesce((select json_agg(coalesce(known.id, record.id) order by record.nth)
          from ${record} left join ${known} on known.id = record.known_id), '[]')`.as('ids'),
      })
      .from(nextChange),
  )
  const { absent, free, unknown, room, madeLists } = ofLists
  const ctes = [
    record,
    known,
    refused,
    absent,
    free,
    unknown,
    room,
    madeLists,
    imported,
    changed,
    counted,
  ] as const
  return { ctes, counted, unknown, room, refused }
}

/** The CTEs of a dry run: they only read. */
export const createCheckCtes = (db: Db) => {
  const { record, known, refused } = createImportGuards(db, { isDryRun: true })
  const { absent, free, unknown, room } = namedListCtes(db, TRUE)
  const ctes = [record, known, refused, absent, free, unknown, room] as const
  return { ctes, unknown, room, refused }
}
