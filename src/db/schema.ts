import { type SQLWrapper, sql } from 'drizzle-orm'
import {
  bigint,
  boolean,
  check,
  index,
  integer,
  pgEnum,
  pgTable,
  timestamp as pgTimestamp,
  primaryKey,
  text,
  unique,
  uuid,
} from 'drizzle-orm/pg-core'
import { textArray, timestamp } from './columns.ts'

export const priority = pgEnum('priority', ['low', 'normal', 'high', 'urgent'])
export const sessionKind = pgEnum('session_kind', ['sign-in', 'personal'])

/*
 * Columns are keyed by the names that the wire and the tables share, so that a
 * row is a Task as it stands and no layer exists to rename it.
 */

export const users = pgTable(
  'users',
  {
    id: uuid().primaryKey(),
    /** Neither, where another identity provider signs the user in. */
    email: text(),
    password_hash: text(),
    name: text(),
    created_at: timestamp().notNull(),
    /** Since when the operator lets nobody sign in; what the account has, stays. */
    disabled_at: timestamp(),
  },
  (user) => [
    unique('users_email').on(user.email),
    check('users_sign_in', sql`(${user.email} is null) = (${user.password_hash} is null)`),
  ],
)

const ownerId = () =>
  uuid()
    .notNull()
    .references(() => users.id, { onDelete: 'cascade' })

/**
 * The number of each user's last change. A statement that writes a user's rows
 * takes the next number here first: the row's lock makes number order commit
 * order, and lock order the same everywhere (without it account deletion and
 * task creation deadlocked in 13 of 300 rounds).
 */
export const userChanges = pgTable('user_changes', {
  user_id: ownerId().primaryKey(),
  last: bigint({ mode: 'number' }).notNull().default(0),
})

/** Who a user of another identity provider is here: never found by an e-mail, only by this. */
export const identities = pgTable(
  'identities',
  {
    issuer: text().notNull(),
    subject: text().notNull(),
    user_id: ownerId(),
    /** The row in `sessions` that all of their tokens are of. */
    session_id: uuid().notNull(),
  },
  (identity) => [
    primaryKey({ columns: [identity.issuer, identity.subject] }),
    unique('identities_user').on(identity.user_id),
  ],
)

/** One row for each live sign-in or personal access token; ending it deletes the row. */
export const sessions = pgTable(
  'sessions',
  {
    user_id: ownerId(),
    id: uuid().notNull(),
    kind: sessionKind().notNull(),
    name: text(),
    scope: text().notNull(),
    created_at: timestamp().notNull(),
    expires_at: timestamp().notNull(),
    last_seen_at: timestamp().notNull(),
  },
  (session) => [primaryKey({ columns: [session.user_id, session.id] })],
)

const live = (task: { deleted_at: SQLWrapper }) => sql`${task.deleted_at} is null`

/** Every key and index starts with the user, so that the table can be distributed by user. */
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
    tags: textArray().notNull().default(sql`'{}'`),
    version: integer().notNull().default(1),
    created_at: timestamp().notNull(),
    updated_at: timestamp().notNull(),
    deleted_at: timestamp(),
    /** The number in `user_changes` of the write that left the row as it is. */
    change: bigint({ mode: 'number' }).notNull(),
  },
  (task) => [
    primaryKey({ columns: [task.user_id, task.id] }),
    index('tasks_by_created_at').on(task.user_id, task.created_at, task.id).where(live(task)),
    index('tasks_by_updated_at').on(task.user_id, task.updated_at, task.id).where(live(task)),
    // No due date comes last either way; `or is null` in the place of this read 60 001 rows for a page.
    index('tasks_by_due_at')
      .on(task.user_id, sql`coalesce(${task.due_at}, 'infinity'::timestamptz)`, task.id)
      .where(live(task)),
    index('tasks_by_due_at_desc')
      .on(task.user_id, sql`coalesce(${task.due_at}, '-infinity'::timestamptz)`, task.id)
      .where(live(task)),
    index('tasks_by_priority').on(task.user_id, task.priority, task.id).where(live(task)),
    index('tasks_by_title')
      .on(task.user_id, sql`${task.title} collate "C"`, task.id)
      .where(live(task)),
    index('tasks_in_trash')
      .on(task.user_id, task.deleted_at, task.id)
      .where(sql`${task.deleted_at} is not null`),
    // All are above 0; but an index of all rows is as good as the key where PostgreSQL takes a user for one of few
    // tasks, and to find one task of 100 000 in it, all entries of the user's are read.
    index('tasks_by_change').on(task.user_id, task.change, task.id).where(sql`${task.change} > 0`),
    check('tasks_title_length', sql`char_length(${task.title}) between 1 and 500`),
    check('tasks_description_length', sql`char_length(${task.description}) <= 10000`),
    check('tasks_tags_count', sql`cardinality(${task.tags}) <= 20`),
    check('tasks_completed_at', sql`${task.completed} = (${task.completed_at} is not null)`),
  ],
)

/** What is left of a task that was erased, for as long as a client's copy may still hold it. */
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
  ],
)

/** The first answer that each `Idempotency-Key` got, written by the statement that had the effect. */
export const idempotencyKeys = pgTable(
  'idempotency_keys',
  {
    user_id: ownerId(),
    /** Method and path. */
    route: text().notNull(),
    key: text().notNull(),
    /** SHA-256 of body, query and `If-Match`. */
    fingerprint: text().notNull(),
    body: text().notNull(),
    etag: text(),
    expires_at: timestamp().notNull(),
  },
  (kept) => [primaryKey({ columns: [kept.user_id, kept.route, kept.key] })],
)

/**
 * Counters of limits, where `RATE_LIMIT_STORE` is `postgres`; nobody's data, so no user leads the key.
 * Its migration makes it `UNLOGGED`, which Drizzle cannot say, with room in each page
 * for a row's next versions.
 */
export const counters = pgTable(
  'counters',
  {
    key: text().primaryKey(),
    count: bigint({ mode: 'number' }).notNull(),
    resets_at: pgTimestamp({ withTimezone: true }).notNull(),
  },
  (counter) => [index('counters_by_resets_at').on(counter.resets_at)],
)
