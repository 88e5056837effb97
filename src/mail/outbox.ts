import { and, asc, eq, lte, type Subquery, sql } from 'drizzle-orm'
import { addSeconds, now } from '../db/clock.ts'
import type { Db } from '../db/database.ts'
import { runWrite } from '../db/errors.ts'
import type { MailTemplate } from '../db/mail-tables.ts'
import { mailMessages, users } from '../db/schema.ts'

export type Message = typeof mailMessages.$inferSelect

/** Messages at once. */
const claimedMax = 5
/** Longer than a message may take, so that two instances do not send one. After a crash, it is claimed again then. */
export const leaseSeconds = 90

/**
 * The messages that are not delivered yet. Any number of instances send them: each claims some for a time, and a message
 * whose instance died is claimed again.
 */
export const createOutbox = (db: Db) => {
  const isMessage = ({ user_id, id }: Message) =>
    and(eq(mailMessages.user_id, user_id), eq(mailMessages.id, id))

  return {
    /**
     * Claims the messages that are due, oldest first. Of two instances, the one that waits for the row of the other finds another
     * time in it, and does not claim it. (`for update skip locked` is impossible on Citus.)
     */
    async claim(): Promise<Message[]> {
      const at = now()
      const { user_id, id, next_attempt_at } = mailMessages
      const due = db
        .$with('due')
        .as(
          db
            .select({ user_id, id, next_attempt_at })
            .from(mailMessages)
            .where(lte(mailMessages.next_attempt_at, at))
            .orderBy(asc(mailMessages.next_attempt_at))
            .limit(claimedMax),
        )
      return runWrite(() =>
        db
          .with(due)
          .update(mailMessages)
          .set({
            attempts: sql`${mailMessages.attempts} + 1`,
            next_attempt_at: addSeconds(at, leaseSeconds),
          })
          .from(due)
          .where(
            and(eq(user_id, due.user_id), eq(id, due.id), eq(next_attempt_at, due.next_attempt_at)),
          )
          .returning(messageColumns),
      )
    },

    async remove(message: Message): Promise<void> {
      await runWrite(() => db.delete(mailMessages).where(isMessage(message)))
      if (ofSignUp.has(message.template))
        await runWrite(() => removePlaceholder(db, message.user_id))
    },

    async postpone(message: Message, seconds: number): Promise<void> {
      const next_attempt_at = addSeconds(now(), seconds)
      await runWrite(() =>
        db.update(mailMessages).set({ next_attempt_at }).where(isMessage(message)),
      )
    },
  }
}

/** Messages of a sign-up with an address that has an account: their user is a placeholder (`email-verification`). */
const ofSignUp = new Set<MailTemplate>(['verify-email', 'sign-up-again', 'account-exists', 'none'])

/** The e-mail of a placeholder: an address that no server delivers (RFC 2606 §2), and that no user can guess. */
export const placeholderEmail = (userId: string): string => `${userId}@placeholder.invalid`

const removePlaceholder = (db: Db, userId: string) =>
  db.delete(users).where(and(eq(users.id, userId), eq(users.email, placeholderEmail(userId))))

export type Outbox = ReturnType<typeof createOutbox>

const messageColumns = {
  user_id: mailMessages.user_id,
  id: mailMessages.id,
  template: mailMessages.template,
  recipient: mailMessages.recipient,
  created_at: mailMessages.created_at,
  attempts: mailMessages.attempts,
  next_attempt_at: mailMessages.next_attempt_at,
}

/** The row of a new message. */
export const newMessage = (userId: string, template: MailTemplate, recipient: string) => {
  const at = now()
  return {
    user_id: userId,
    id: Bun.randomUUIDv7(),
    template,
    recipient,
    created_at: at,
    next_attempt_at: at,
  }
}

type Account = Subquery & { email: unknown }
type Stored = { userId: string; template: MailTemplate; recipient?: string }

/**
 * A CTE that stores a message if the CTE `account` has a row, as a part of the statement that causes it. The recipient is
 * the e-mail of the account, unless another is given.
 */
export const insertMessage = (
  db: Db,
  account: Account,
  { userId, template, recipient }: Stored,
) => {
  const { id, created_at } = newMessage(userId, template, '')
  const address = recipient === undefined ? sql`${account.email}` : sql`${recipient}::text`
  const row = {
    user_id: sql`${userId}::uuid`.as('user_id'),
    id: sql`${id}::uuid`.as('message_id'),
    template: sql`${template}::text`.as('template'),
    recipient: address.as('recipient'),
    created_at: sql`${created_at}::timestamptz`.as('created_at'),
    attempts: sql`0`.as('attempts'),
    next_attempt_at: sql`${created_at}::timestamptz`.as('next_attempt_at'),
  }
  return db.$with('message').as(
    db
      .insert(mailMessages)
      .select(db.select(row).from(account).where(sql`${account.email} is not null`))
      .returning({ id: mailMessages.id }),
  )
}
