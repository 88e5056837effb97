import {
  bigint,
  index,
  pgTable,
  timestamp as pgTimestamp,
  primaryKey,
  text,
} from 'drizzle-orm/pg-core'
import { ownerId } from './account-tables.ts'
import { timestamp } from './columns.ts'

/** The first response for each `Idempotency-Key`, written by the statement that had the effect. */
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
  (kept) => [
    primaryKey({ columns: [kept.user_id, kept.route, kept.key] }),
    index('idempotency_keys_by_expires_at').on(kept.expires_at),
  ],
)

/**
 * Rate-limit counters, with `RATE_LIMIT_STORE=postgres`. The key does not start with a user, because addresses are
 * counted too. The migration makes the table `UNLOGGED` with a fill factor, which Drizzle cannot express.
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
