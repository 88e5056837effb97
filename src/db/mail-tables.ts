import { index, integer, pgTable, primaryKey, text, uuid } from 'drizzle-orm/pg-core'
import { ownerId } from './account-tables.ts'
import { timestamp } from './columns.ts'

export type MailLinkKind = 'reset' | 'verify'
export type MailTemplate =
  | 'reset-password'
  | 'verify-email'
  | 'verify-new-email'
  | 'sign-up-again'
  | 'account-exists'
  | 'invitation'
  | 'password-changed'
  | 'email-changed'
  | 'account-erased'
  | 'refresh-token-reused'
  | 'webhook-disabled'
  | 'reminders'
  /** Not sent: a request that is over a limit does the same work. */
  | 'none'

/**
 * The newest link of each kind that was mailed to a user. A used or invalidated link stays, so that a message that is
 * sent again does not renew it.
 */
export const mailLinks = pgTable(
  'mail_links',
  {
    user_id: ownerId(),
    kind: text().$type<MailLinkKind>().notNull(),
    /** The address that the link was mailed to. */
    email: text().notNull(),
    /** The message (UUIDv7) that contains the link, or the time of what invalidated all earlier ones. */
    message_id: uuid().notNull(),
    /** SHA-256 of the secret; null if there is no valid link. */
    token_hash: text(),
    expires_at: timestamp().notNull(),
  },
  (link) => [primaryKey({ columns: [link.user_id, link.kind] })],
)

/**
 * Messages that are not delivered yet, stored by the statement that causes them. `user_id` is no reference: a message
 * outlives an erased account, and a forgotten password may be of no account.
 */
export const mailMessages = pgTable(
  'mail_messages',
  {
    user_id: uuid().notNull(),
    id: uuid().notNull(),
    template: text().$type<MailTemplate>().notNull(),
    recipient: text().notNull(),
    created_at: timestamp().notNull(),
    attempts: integer().notNull().default(0),
    /** Also the end of the lease of the instance that sends it. */
    next_attempt_at: timestamp().notNull(),
  },
  (message) => [
    primaryKey({ columns: [message.user_id, message.id] }),
    index('mail_messages_by_next_attempt_at').on(message.next_attempt_at),
  ],
)
