import { index, pgTable, primaryKey, uuid } from 'drizzle-orm/pg-core'
import { ownerId } from './account-tables.ts'
import { timestamp } from './columns.ts'

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
