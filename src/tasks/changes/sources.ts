import { and, asc, eq, type SQLWrapper, sql } from 'drizzle-orm'
import type { Db } from '../../db/database.ts'
import { param } from '../../db/params.ts'
import { lists, listTombstones, reminderEvents, tasks, taskTombstones } from '../../db/schema.ts'
import { placeholders } from '../../db/user-scope.ts'
import { listJson } from '../../lists/reads.ts'
import { isActive, taskColumns, taskJson } from '../task/sql.ts'

/*
 * What a reader of changes reads: the rows of each table after its position, at most `rows`. Their columns have different
 * names, so that one row can contain any of them.
 */

/** The position of the reader: a number and an id. */
const position = sql`(${param('number', 'bigint')}, ${param('last', 'uuid')})`
const fresh = param('fresh', 'bigint')
/** How many rows a page needs. */
export const rows = sql.placeholder('rows')

const isLater = (change: SQLWrapper, id: SQLWrapper) => sql`(${change}, ${id}) > ${position}`

/** Tasks that have changed, also those that are in the trash since. */
export const selectTasks = (db: Db) =>
  db
    .select({ ...taskColumns, deleted_at: tasks.deleted_at, change: tasks.change })
    .from(tasks)
    .where(
      and(
        eq(tasks.user_id, placeholders.user),
        // The condition of the index.
        sql`${tasks.change} > 0`,
        isLater(tasks.change, tasks.id),
        sql`(${isActive} or ${tasks.change} > ${fresh})`,
      ),
    )
    .orderBy(asc(tasks.change), asc(tasks.id))
    .limit(rows)
    .as('current')

/** Erased tasks. */
export const selectErased = (db: Db) =>
  db
    .select({
      erased_id: sql<string>`${taskTombstones.id}`.as('erased_id'),
      erased_deleted_at: sql<string>`${taskTombstones.deleted_at}`
        .mapWith(taskTombstones.deleted_at)
        .as('erased_deleted_at'),
      erased_change: sql<number>`${taskTombstones.change}`
        .mapWith(taskTombstones.change)
        .as('erased_change'),
    })
    .from(taskTombstones)
    .where(
      and(
        eq(taskTombstones.user_id, placeholders.user),
        isLater(taskTombstones.change, taskTombstones.id),
        sql`${taskTombstones.change} > ${fresh}`,
      ),
    )
    .orderBy(asc(taskTombstones.change), asc(taskTombstones.id))
    .limit(rows)
    .as('erased')

/** Lists that have changed. */
export const selectLists = (db: Db) =>
  db
    .select({
      listed_id: sql<string>`${lists.id}`.as('listed_id'),
      listed_change: sql<number>`${lists.change}`.mapWith(lists.change).as('listed_change'),
      listed: listJson(db).as('listed'),
    })
    .from(lists)
    .where(and(eq(lists.user_id, placeholders.user), isLater(lists.change, lists.id)))
    .orderBy(asc(lists.change), asc(lists.id))
    .limit(rows)
    .as('of_lists')

/** Deleted lists. */
export const selectDeletedLists = (db: Db) =>
  db
    .select({
      unlisted_id: sql<string>`${listTombstones.id}`.as('unlisted_id'),
      unlisted_change: sql<number>`${listTombstones.change}`
        .mapWith(listTombstones.change)
        .as('unlisted_change'),
    })
    .from(listTombstones)
    .where(
      and(
        eq(listTombstones.user_id, placeholders.user),
        isLater(listTombstones.change, listTombstones.id),
        sql`${listTombstones.change} > ${fresh}`,
      ),
    )
    .orderBy(asc(listTombstones.change), asc(listTombstones.id))
    .limit(rows)
    .as('unlisted')

/** Delivered reminders of tasks that are neither completed nor deleted since. */
export const selectReminders = (db: Db) =>
  db
    .select({
      reminder_id: sql<string>`${reminderEvents.id}`.as('reminder_id'),
      reminder_change: sql<number>`${reminderEvents.change}`
        .mapWith(reminderEvents.change)
        .as('reminder_change'),
      reminded_at: sql<string>`${reminderEvents.remind_at}`
        .mapWith(reminderEvents.remind_at)
        .as('reminded_at'),
      reminded: sql<string>`${taskJson(tasks)}::text`.as('reminded'),
    })
    .from(reminderEvents)
    .innerJoin(
      tasks,
      and(
        eq(tasks.user_id, placeholders.user),
        eq(tasks.id, reminderEvents.task_id),
        sql`${isActive} and not ${tasks.completed}`,
      ),
    )
    .where(
      and(
        eq(reminderEvents.user_id, placeholders.user),
        isLater(reminderEvents.change, reminderEvents.id),
        sql`${reminderEvents.change} > ${fresh}`,
      ),
    )
    .orderBy(asc(reminderEvents.change), asc(reminderEvents.id))
    .limit(rows)
    .as('of_reminders')
