import {
  bigint,
  boolean,
  index,
  integer,
  pgTable,
  primaryKey,
  text,
  unique,
  uuid,
} from 'drizzle-orm/pg-core'
import { ownerId } from './account-tables.ts'
import { textArray, timestamp } from './columns.ts'

/** Tickets that have opened an event stream, until they expire, so that each opens one. */
export const usedStreamTickets = pgTable(
  'used_stream_tickets',
  {
    user_id: ownerId(),
    id: uuid().notNull(),
    expires_at: timestamp().notNull(),
  },
  (ticket) => [
    primaryKey({ columns: [ticket.user_id, ticket.id] }),
    index('used_stream_tickets_by_expires_at').on(ticket.expires_at),
  ],
)

/**
 * Delivered reminders: the event stream and webhooks read them in the order of changes, and a mail its content. They are kept
 * as long as a client may read them. `task_id` is no reference, so that erasing a task needs no index here.
 */
export const reminderEvents = pgTable(
  'reminder_events',
  {
    user_id: ownerId(),
    /** Derived from the task and the time, so that no reminder is delivered twice. It sorts by the time. */
    id: uuid().notNull(),
    task_id: uuid().notNull(),
    remind_at: timestamp().notNull(),
    delivered_at: timestamp().notNull(),
    /** The mail that lists it; null without one. */
    message_id: uuid(),
    change: bigint({ mode: 'number' }).notNull(),
  },
  (event) => [
    primaryKey({ columns: [event.user_id, event.id] }),
    index('reminder_events_by_change').on(event.user_id, event.change, event.id),
    index('reminder_events_by_delivered_at').on(event.delivered_at),
  ],
)

export type WebhookEvent = 'task.upsert' | 'task.delete' | 'task.reminder'
export type DisabledReason = 'gone' | 'failed'

/** Webhooks, each with its position in the changes feed of its user instead of a queue of messages. */
export const webhooks = pgTable(
  'webhooks',
  {
    user_id: ownerId(),
    id: uuid().notNull(),
    /** 1 to 20. The unique key limits how many a user has, also if two are created at once. */
    slot: integer().notNull(),
    url: text().notNull(),
    name: text(),
    events: textArray().$type<WebhookEvent[]>().notNull(),
    enabled: boolean().notNull().default(true),
    /** Set when the service disabled it. */
    disabled_reason: text().$type<DisabledReason>(),
    created_at: timestamp().notNull(),
    secret: text().notNull(),
    /** Signs too, until `previous_until`. */
    previous_secret: text(),
    previous_until: timestamp(),
    /** It has received all changes up to this number, and of those with this number, all up to `change_id`. */
    change: bigint({ mode: 'number' }).notNull(),
    change_id: uuid().notNull(),
    /** Failed attempts of the current message. */
    attempts: integer().notNull().default(0),
    next_attempt_at: timestamp().notNull(),
    /** The time of the change whose delivery fails. */
    failing_since: timestamp(),
    last_success_at: timestamp(),
    last_failure_at: timestamp(),
    last_failure_status: integer(),
    last_failure_detail: text(),
    /** The claim of the instance that delivers, and its end. */
    lease: uuid(),
    leased_until: timestamp(),
  },
  (webhook) => [
    primaryKey({ columns: [webhook.user_id, webhook.id] }),
    unique('webhooks_slot').on(webhook.user_id, webhook.slot),
  ],
)
