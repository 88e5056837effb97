import { and, eq, type SQL, sql } from 'drizzle-orm'
import type { Db } from '../../db/database.ts'
import { param } from '../../db/params.ts'
import { lists, tasks } from '../../db/schema.ts'
import { createUserScope, isStarted, placeholders } from '../../db/user-scope.ts'
import {
  columnDefinitions,
  inZoneOfUser,
  isContradiction,
  patchColumnsFrom,
  recordsetColumn,
} from '../task/columns.ts'
import { isRecurring, type Recurring, recurringJson } from '../task/recurring.ts'
import { isActive } from '../task/sql.ts'

/** A task that the operation `ord` completes, or the opposite, and that recurs. */
export type RecurringOperation = Recurring & { ord: number; version: number }

/** The members of `BatchOperation`. `sets` distinguishes members that are absent in a merge patch from null. */
const operationRows = sql`select * from jsonb_to_recordset(${param('operations', 'jsonb')}) as operations (
  ord int, kind text, id uuid, version int, ${columnDefinitions}, completed boolean, sets text[],
  is_handled boolean, next jsonb)`
export const draftRows = sql`jsonb_to_recordset(${param('drafts', 'jsonb')}) as draft (
  id uuid, ord int, ${columnDefinitions})`

/**
 * Uses the primary key. The planner does not know how many operations there are; without this condition it read all
 * tasks of the user (99 002 rows for a batch of three).
 */
export const isInBatch = sql`${tasks.id} = any(${param('ids', 'uuid[]')})`

/** The lists that the batch names and the user does not have. */
const missingLists = sql`select named.missing from unnest(${param('lists', 'uuid[]')}) as named (missing)
  where not exists (
    select from ${lists} where ${lists.user_id} = ${placeholders.user} and ${lists.id} = named.missing)
  limit 1`

export const member = (name: string) => sql.raw(`"operations"."${name}"`)
export const newCompleted = sql`case ${member('kind')}
  when 'update' then coalesce(${member('completed')}, ${tasks.completed})
  when 'complete' then coalesce(${member('completed')}, not ${tasks.completed})
  else ${tasks.completed} end`

export const patch = patchColumnsFrom(inZoneOfUser(recordsetColumn('operations')), member('sets'))
/** What a batch sets in a task. */
export const written = { ...patch, completed: newCompleted }

/** An empty patch changes nothing, as in PATCH. */
export const isUnchanged = sql`(${member('kind')} = 'update' and ${member('sets')} = '{}' and ${member('completed')} is null)`

/**
 * The CTEs that make the batch all or nothing. They lock the current rows and compare them with the operations. If a
 * row is missing or has another version, `proceed` has no row, and no writing CTE has an effect.
 */
export const createGuards = (db: Db, isFirstUse: SQL | undefined) => {
  const { sessionRow, nextChange } = createUserScope(db, placeholders)
  const operations = db
    .$with('operations', { ord: sql<number>`"operations"."ord"`.as('ord') })
    .as(operationRows)
  const current = db.$with('current').as(
    db
      .select({
        id: tasks.id,
        version: tasks.version,
        due_at: tasks.due_at,
        due_on: tasks.due_on,
        recurrence: tasks.recurrence,
        series_start: tasks.series_start,
        completed: tasks.completed,
      })
      .from(tasks)
      .where(and(eq(tasks.user_id, placeholders.user), isActive, isInBatch, isStarted(nextChange)))
      .for('update'),
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
        sql`${current.id} is null or ${member('version')} <> ${current.version} or ${isContradiction(current, recordsetColumn('operations'), member('sets'))}`,
      )
      .orderBy(member('ord'))
      .limit(1),
  )
  // The locked rows stand for the table in these expressions.
  const recurring = db
    .$with('recurring', { list: sql<RecurringOperation[] | null>`"recurring"."list"`.as('list') })
    .as(sql`select json_agg(${recurringJson(written)}
        || jsonb_build_object('ord', ${member('ord')}, 'version', ${tasks.version})) as list
      from ${operations} inner join ${current} as ${tasks} on ${tasks.id} = ${member('id')}
      where ${member('is_handled')} is null and ${isRecurring(written)}`)
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
          sql`(select "recurring"."list" from ${recurring}) is null`,
          isFirstUse,
        ),
      ),
  )
  return { sessionRow, nextChange, operations, current, refused, recurring, missingList, proceed }
}

export type Guards = ReturnType<typeof createGuards>
