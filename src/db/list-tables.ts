import { sql } from 'drizzle-orm'
import {
  bigint,
  check,
  index,
  integer,
  pgTable,
  primaryKey,
  text,
  unique,
  uuid,
} from 'drizzle-orm/pg-core'
import { ownerId } from './account-tables.ts'
import { timestamp } from './columns.ts'

/** Lists of tasks. Tasks without a list are in the inbox, which has no row. */
export const lists = pgTable(
  'lists',
  {
    user_id: ownerId(),
    id: uuid().notNull(),
    name: text().notNull(),
    /** The name in the form in which names are compared. */
    name_key: text().notNull(),
    /** 1 to 500. The unique key limits how many a user has, also if two are created at once. */
    slot: integer().notNull(),
    position: text().notNull(),
    version: integer().notNull().default(1),
    created_at: timestamp().notNull(),
    updated_at: timestamp().notNull(),
    /** The number of the last write to the row (`user_changes`). */
    change: bigint({ mode: 'number' }).notNull(),
  },
  (list) => [
    primaryKey({ columns: [list.user_id, list.id] }),
    unique('lists_name').on(list.user_id, list.name_key),
    unique('lists_slot').on(list.user_id, list.slot),
    index('lists_by_change').on(list.user_id, list.change, list.id),
    check('lists_name_length', sql`char_length(${list.name}) between 1 and 100`),
  ],
)

/** Deleted lists, for as long as the copy of a client may contain them. */
export const listTombstones = pgTable(
  'list_tombstones',
  {
    user_id: ownerId(),
    change: bigint({ mode: 'number' }).notNull(),
    id: uuid().notNull(),
    deleted_at: timestamp().notNull(),
  },
  (tombstone) => [
    primaryKey({ columns: [tombstone.user_id, tombstone.id] }),
    index('list_tombstones_by_change').on(tombstone.user_id, tombstone.change, tombstone.id),
  ],
)
