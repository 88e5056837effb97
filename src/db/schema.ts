import { type SQLWrapper, sql } from 'drizzle-orm'
import {
  bigint,
  boolean,
  check,
  date,
  foreignKey,
  index,
  integer,
  jsonb,
  pgEnum,
  pgTable,
  primaryKey,
  text,
  uniqueIndex,
  uuid,
} from 'drizzle-orm/pg-core'
import { titleLengthMax } from '../limits.ts'
import type { SeriesStart, StoredRecurrence } from '../recurrence/next.ts'
import type { Reminder } from '../schema/types.ts'
import { ownerId } from './account-tables.ts'
import { textArray, timestamp } from './columns.ts'
import { lists } from './list-tables.ts'
import { originalPositionSql } from './positions.ts'

export * from './account-tables.ts'
export * from './list-tables.ts'
export * from './live-tables.ts'
export * from './mail-tables.ts'
export * from './request-tables.ts'

export const priority = pgEnum('priority', ['low', 'normal', 'high', 'urgent'])

/* JSON members, TypeScript keys and columns have the same names, so that a row is a Task without mapping. */

/** `due_at`, or the start of the day `due_on` in UTC: for the order of tasks, and for `due_before` and `due_after`. */
export const dueTime = (task: { due_at: SQLWrapper; due_on: SQLWrapper }) =>
  sql`coalesce(${task.due_at}, ${task.due_on}::timestamp at time zone 'UTC')`

/** `dueTime`, after all others if it is never due. */
export const dueOrNever = (task: { due_at: SQLWrapper; due_on: SQLWrapper }) =>
  sql`coalesce(${dueTime(task)}, 'infinity'::timestamptz)`

/** Its place in the order of the user. */
export const taskPosition = (task: { position: SQLWrapper; id: SQLWrapper }) =>
  sql<string>`coalesce(${task.position}, ${originalPositionSql(sql`${task.id}`)})`

/** The id of the inbox in an index, because PostgreSQL does not read an index in its order for `list_id is null`. */
export const inboxId = '00000000-0000-0000-0000-000000000000'
/** The list of a task, as an index has it. */
export const listOf = (task: { list_id: SQLWrapper }) =>
  sql`coalesce(${task.list_id}, '${sql.raw(inboxId)}'::uuid)`

const isActive = (task: { deleted_at: SQLWrapper }) => sql`${task.deleted_at} is null`
const hasReminder = (task: { deleted_at: SQLWrapper; remind_at: SQLWrapper }) =>
  sql`${task.remind_at} is not null and ${isActive(task)}`

/** Every key starts with `user_id`, so that the table can be distributed by user. */
export const tasks = pgTable(
  'tasks',
  {
    user_id: ownerId(),
    id: uuid().notNull(),
    title: text().notNull(),
    description: text(),
    completed: boolean().notNull().default(false),
    completed_at: timestamp(),
    priority: priority().notNull().default('normal'),
    due_at: timestamp(),
    due_on: date(),
    tags: textArray().notNull().default(sql`'{}'`),
    /** Null is the inbox. */
    list_id: uuid(),
    recurrence: jsonb().$type<StoredRecurrence>(),
    /** Null if there are none: `toTask`. */
    reminders: jsonb().$type<Reminder[]>(),
    /** The id of the first task of the series. */
    series_id: uuid(),
    version: integer().notNull().default(1),
    created_at: timestamp().notNull(),
    updated_at: timestamp().notNull(),
    deleted_at: timestamp(),
    /** Null for tasks from before positions; `taskPosition` reads it. */
    position: text(),
    /** The completed task that this one follows in its series. */
    predecessor_id: uuid(),
    series_start: jsonb().$type<SeriesStart>(),
    /** Its reminders before this time are delivered, or past; null if none is left. */
    remind_at: timestamp(),
    /** The number of the last write to the row (`user_changes`). */
    change: bigint({ mode: 'number' }).notNull(),
  },
  (task) => [
    primaryKey({ columns: [task.user_id, task.id] }),
    foreignKey({
      name: 'tasks_list',
      columns: [task.user_id, task.list_id],
      foreignColumns: [lists.user_id, lists.id],
    }),
    index('tasks_by_list')
      .on(task.user_id, listOf(task), sql`${taskPosition(task)} collate "C"`, task.id)
      .where(isActive(task)),
    // The usual order within a list. In another order, the tasks of the list are sorted.
    index('tasks_by_list_and_created_at')
      .on(task.user_id, listOf(task), task.created_at, task.id)
      .where(isActive(task)),
    index('tasks_by_position')
      .on(task.user_id, sql`${taskPosition(task)} collate "C"`, task.id)
      .where(isActive(task)),
    index('tasks_by_created_at').on(task.user_id, task.created_at, task.id).where(isActive(task)),
    index('tasks_by_updated_at').on(task.user_id, task.updated_at, task.id).where(isActive(task)),
    // No due date sorts last in both directions. With `or is null` instead, one page read 60 001 rows.
    index('tasks_by_due').on(task.user_id, dueOrNever(task), task.id).where(isActive(task)),
    index('tasks_by_due_desc')
      .on(task.user_id, sql`coalesce(${dueTime(task)}, '-infinity'::timestamptz)`, task.id)
      .where(isActive(task)),
    index('tasks_by_due_on')
      .on(task.user_id, task.due_on, task.id)
      .where(sql`${isActive(task)} and ${task.due_on} is not null`),
    index('tasks_by_completed_at')
      .on(task.user_id, task.completed_at, task.id)
      .where(sql`${isActive(task)} and ${task.completed_at} is not null`),
    // All columns that counts need, so that they are read from the index alone: 7 to 12 ms for 100 000 tasks, 36 with rows.
    index('tasks_counted')
      .on(task.user_id, task.completed, task.list_id, task.due_at, task.due_on)
      .where(isActive(task)),
    index('tasks_by_priority').on(task.user_id, task.priority, task.id).where(isActive(task)),
    index('tasks_by_title')
      .on(task.user_id, sql`${task.title} collate "C"`, task.id)
      .where(isActive(task)),
    // The indexes by time without a user are for the deletion of expired rows.
    index('tasks_by_deleted_at').on(task.deleted_at).where(sql`${task.deleted_at} is not null`),
    index('tasks_in_trash')
      .on(task.user_id, task.deleted_at, task.id)
      .where(sql`${task.deleted_at} is not null`),
    // True for every row. Without the condition, PostgreSQL may use this index instead of the primary key to find one
    // task, and reads all 100 000 entries of the user.
    index('tasks_by_change').on(task.user_id, task.change, task.id).where(sql`${task.change} > 0`),
    // Completing a task twice creates one successor.
    uniqueIndex('tasks_by_predecessor')
      .on(task.user_id, task.predecessor_id)
      .where(sql`${task.predecessor_id} is not null`),
    // The delivery of reminders reads the earliest ones of all users.
    index('tasks_by_remind_at').on(task.remind_at).where(hasReminder(task)),
    index('tasks_by_user_and_remind_at').on(task.user_id, task.remind_at).where(hasReminder(task)),
    check(
      'tasks_title_length',
      sql`char_length(${task.title}) between 1 and ${sql.raw(`${titleLengthMax}`)}`,
    ),
    check('tasks_description_length', sql`char_length(${task.description}) <= 10000`),
    check('tasks_due', sql`${task.due_at} is null or ${task.due_on} is null`),
    check(
      'tasks_recurrence_due',
      sql`${task.recurrence} is null or ${task.due_at} is not null or ${task.due_on} is not null`,
    ),
    check('tasks_tags_count', sql`cardinality(${task.tags}) <= 20`),
    check('tasks_completed_at', sql`${task.completed} = (${task.completed_at} is not null)`),
  ],
)

/** Erased tasks, for as long as the copy of a client may contain them. */
export const taskTombstones = pgTable(
  'task_tombstones',
  {
    user_id: ownerId(),
    id: uuid().notNull(),
    deleted_at: timestamp().notNull(),
    erased_at: timestamp().notNull(),
    change: bigint({ mode: 'number' }).notNull(),
  },
  (tombstone) => [
    primaryKey({ columns: [tombstone.user_id, tombstone.id] }),
    index('task_tombstones_by_change').on(tombstone.user_id, tombstone.change, tombstone.id),
    index('task_tombstones_by_erased_at').on(tombstone.erased_at),
  ],
)
