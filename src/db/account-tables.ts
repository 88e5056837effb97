import { type SQLWrapper, sql } from 'drizzle-orm'
import {
  bigint,
  boolean,
  check,
  index,
  integer,
  pgEnum,
  pgTable,
  primaryKey,
  text,
  unique,
  uuid,
} from 'drizzle-orm/pg-core'
import { timestamp } from './columns.ts'

export const sessionKind = pgEnum('session_kind', ['sign-in', 'personal'])

export const users = pgTable(
  'users',
  {
    id: uuid().primaryKey(),
    /** E-mail and password hash are null for users of a trusted issuer. */
    email: text(),
    password_hash: text(),
    name: text(),
    created_at: timestamp().notNull(),
    /** Set when an operator disabled the account: no sign-in, but its data stays. */
    disabled_at: timestamp(),
    /** When a mailed link proved that the user reads the address. */
    email_verified_at: timestamp(),
    /** The account was created with EMAIL_VERIFICATION=required, and its link was not used yet. */
    is_verification_due: boolean().notNull().default(false),
    /** The next address, until its link is used. */
    pending_email: text(),
    /** Of the IANA database; it defines *today* and *overdue*. */
    time_zone: text().notNull().default('UTC'),
    reminders_by_mail: boolean().notNull().default(false),
  },
  (user) => [
    unique('users_email').on(user.email),
    check('users_sign_in', sql`(${user.email} is null) = (${user.password_hash} is null)`),
  ],
)

/** The column that has the owner of a row. Erasing the user erases the row. */
export const ownerId = () =>
  uuid()
    .notNull()
    .references(() => users.id, { onDelete: 'cascade' })

/**
 * The number of each user's last change. Every statement that writes rows of a user takes the next number here
 * first. The row lock makes the order of numbers the order of commits, and gives all statements the same lock order
 * (without it, account deletion and task creation deadlocked in 13 of 300 rounds).
 */
export const userChanges = pgTable('user_changes', {
  user_id: ownerId().primaryKey(),
  last: bigint({ mode: 'number' }).notNull().default(0),
})

/** The users of trusted issuers. They are found by issuer and subject, never by e-mail. */
export const identities = pgTable(
  'identities',
  {
    issuer: text().notNull(),
    subject: text().notNull(),
    user_id: ownerId(),
    /** The row in `sessions` for all tokens of this user. */
    session_id: uuid().notNull(),
  },
  (identity) => [
    primaryKey({ columns: [identity.issuer, identity.subject] }),
    unique('identities_user').on(identity.user_id),
  ],
)

/** When neither an access token nor a refresh token of a session can be used any more. */
export const endOf = (session: { expires_at: SQLWrapper; refresh_expires_at: SQLWrapper }) =>
  sql`greatest(${session.expires_at}, ${session.refresh_expires_at})`

/** One row per live sign-in or personal access token. Ending it deletes the row, or moves both ends to the present. */
export const sessions = pgTable(
  'sessions',
  {
    user_id: ownerId(),
    id: uuid().notNull(),
    kind: sessionKind().notNull(),
    name: text(),
    scope: text().notNull(),
    created_at: timestamp().notNull(),
    /** Until then, an access token of the session may be valid. A refresh moves it. */
    expires_at: timestamp().notNull(),
    last_seen_at: timestamp().notNull(),
    /** Of the sign-in, at most 200 code points. */
    user_agent: text(),
    /** The end of the refresh tokens; null if the session has none. */
    refresh_expires_at: timestamp(),
    /** The number of the newest refresh token. The token itself is not stored, but derived from it. */
    refresh_generation: integer().notNull().default(0),
    /** When the newest refresh token was issued, which was the first use of the one before. */
    rotated_at: timestamp(),
    /** When a refresh token was last accepted. */
    refreshed_at: timestamp(),
    /** Of the secret in the URL of a calendar feed: SHA-256. */
    secret_hash: text(),
  },
  (session) => [
    primaryKey({ columns: [session.user_id, session.id] }),
    index('sessions_by_end').on(endOf(session)),
  ],
)
