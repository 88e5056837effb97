import { and, eq, exists, isNull } from 'drizzle-orm'
import { now } from '../../db/clock.ts'
import type { Db } from '../../db/database.ts'
import { runWrite } from '../../db/errors.ts'
import { mailLinks, mailMessages, sessions, users } from '../../db/schema.ts'
import { lockUser } from '../../db/user-scope.ts'
import { isValidLink } from '../../mail/links.ts'
import type { NoticeStatements } from '../../mail/notices.ts'
import { newMessage } from '../../mail/outbox.ts'
import { endAllSessions } from '../sessions/repository.ts'

/** Requests for links, and new passwords by them. */
export const createPasswordResetRepository = (db: Db, notices: NoticeStatements) => ({
  /**
   * Stores the request for a link. The sender looks for the account later, so this statement is the same for every
   * address. `isOverLimit`: the message is discarded, for the same reason not here.
   */
  async request(email: string, isOverLimit: boolean): Promise<void> {
    const template = isOverLimit ? 'none' : 'reset-password'
    // There is no user yet: each request is bound to an id of its own.
    const message = newMessage(Bun.randomUUIDv7(), template, email)
    await runWrite(() => db.insert(mailMessages).values(message))
  },

  /**
   * Uses up a link, replaces the password, and ends all sessions and personal tokens. Of concurrent uses, one succeeds.
   * Returns whether the link was valid.
   */
  async reset(userId: string, hash: string, password_hash: string): Promise<boolean> {
    const lockedUser = lockUser(db, userId)
    // The row lock evaluates the condition again after a concurrent use.
    const valid = db.$with('valid').as(
      db
        .select({ user_id: mailLinks.user_id, address: mailLinks.email })
        .from(mailLinks)
        .where(
          and(isValidLink({ userId, kind: 'reset', hash }), exists(db.select().from(lockedUser))),
        )
        .for('update'),
    )
    const account = db.$with('account').as(
      db
        .update(users)
        .set({ password_hash, email_verified_at: now(), is_verification_due: false })
        .from(valid)
        .where(
          and(
            eq(users.id, userId),
            // Proves control of the address that the link was mailed to.
            eq(users.email, valid.address),
            isNull(users.disabled_at),
          ),
        )
        .returning({ id: users.id, email: users.email }),
    )
    const ended = db.$with('ended').as(
      db
        .delete(sessions)
        .where(and(eq(sessions.user_id, userId), exists(db.select().from(account))))
        .returning({ id: sessions.id }),
    )
    const rows = await runWrite(() =>
      db
        .with(lockedUser, valid, account, ended, ...notices.ofNewPassword(account, userId))
        .select({ id: account.id })
        .from(account),
    )
    if (rows.length === 0) return false
    // The old password starts no session from here on. Those that it started meanwhile end now.
    await endAllSessions(db, userId)
    return true
  },
})
