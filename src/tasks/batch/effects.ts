import { and, eq, sql } from 'drizzle-orm'
import { unionAll } from 'drizzle-orm/pg-core'
import type { Db } from '../../db/database.ts'
import { nowParam, param } from '../../db/params.ts'
import { positionAtEndOf } from '../../db/positions.ts'
import { tasks } from '../../db/schema.ts'
import { placeholders, TRUE } from '../../db/user-scope.ts'
import { remindAtAfter } from '../reminders/remind-at.ts'
import {
  insertColumns,
  inZoneOfUser,
  newTaskRow,
  ownSeries,
  recordsetColumn,
  seriesAfter,
} from '../task/columns.ts'
import { successorRow, tombstonesOf } from '../task/recurring.ts'
import { completionColumns, taskColumns } from '../task/sql.ts'
import {
  draftRows,
  type Guards,
  isInBatch,
  isUnchanged,
  member,
  newCompleted,
  patch,
  written,
} from './guards.ts'

/** The writing CTEs, and all tasks that they wrote. */
export const createEffects = (db: Db, { operations, proceed }: Guards) => {
  const row = newTaskRow(proceed, {
    id: sql`draft.id`,
    position: positionAtEndOf(sql`${proceed.change}`, sql`draft.ord`),
    series_id: ownSeries(recordsetColumn('draft')('recurrence'), sql`draft.id`),
    ...insertColumns(inZoneOfUser(recordsetColumn('draft'))),
  })
  const rows = sql`select ${row} from ${draftRows}, ${proceed}`
  const created = db.$with('created').as(db.insert(tasks).select(rows).returning(taskColumns))
  const changed = db.$with('changed').as(
    db
      .update(tasks)
      .set({
        ...remindAtAfter(written),
        ...patch,
        series_id: seriesAfter(member('recurrence')),
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

/**
 * The CTEs for recurring tasks, as `successorCtes` has them for one: the successors that the operations carry as `next`, and
 * the removal of unchanged ones. A successor that the batch itself changes stays.
 */
export const createSuccessors = (db: Db, { operations, proceed }: Guards, changed: Changed) => {
  const carried = (name: string) => sql`${member('next')} ->> '${sql.raw(name)}'`
  const row = successorRow(proceed, changed, {
    id: sql`(${carried('id')})::uuid`,
    position: positionAtEndOf(sql`${proceed.change}`, sql`${member('ord')} + 101`),
    due_at: sql`(${carried('due_at')})::timestamptz`,
    due_on: sql`(${carried('due_on')})::date`,
    recurrence: sql`${member('next')} -> 'recurrence'`,
    series_start: sql`${member('next')} -> 'series_start'`,
  })
  const rows = sql`select ${row} from ${operations}
    inner join ${changed} on ${changed.id} = ${member('id')}, ${proceed}
    where jsonb_typeof(${member('next')}) = 'object' and not exists (select from ${tasks}
      where ${tasks.user_id} = ${placeholders.user} and ${tasks.predecessor_id} = ${changed.id})`
  const successors = db
    .$with('successors')
    .as(db.insert(tasks).select(rows).returning({ id: tasks.id }))
  const removed = db.$with('removed').as(
    db
      .delete(tasks)
      .where(
        and(
          eq(tasks.user_id, placeholders.user),
          sql`${tasks.predecessor_id} = any(${param('ids', 'uuid[]')}) and not ${isInBatch}`,
          sql`${tasks.version} = 1 and ${tasks.deleted_at} is null`,
          sql`exists (select from ${changed} where ${changed.id} = ${tasks.predecessor_id} and not ${changed.completed})`,
        ),
      )
      .returning({ user_id: tasks.user_id, id: tasks.id }),
  )
  return { successors, removed, tombstone: tombstonesOf(db, removed, proceed) }
}

type Changed = ReturnType<typeof createEffects>['changed']
