import { and, eq, exists, isNull, ne, or, sql } from 'drizzle-orm'
import { now } from '../../db/clock.ts'
import type { Db } from '../../db/database.ts'
import { runRead, runWrite, violatesConstraint } from '../../db/errors.ts'
import type { MailTemplate } from '../../db/mail-tables.ts'
import { mailLinks, mailMessages, users } from '../../db/schema.ts'
import {
  createUserScope,
  lockUser,
  type Principal,
  scopeParameters,
  TRUE,
} from '../../db/user-scope.ts'
import { invalidateLinks } from '../../mail/invalid-links.ts'
import { isValidLink } from '../../mail/links.ts'
import type { NoticeStatements } from '../../mail/notices.ts'
import { insertMessage, newMessage, placeholderEmail } from '../../mail/outbox.ts'
import { insertChangeCounter } from '../sign-in/repository.ts'

/** Links that prove an address. */
export const createEmailVerificationRepository = (db: Db, notices: NoticeStatements) => ({
  /**
   * Uses up a link: the address of the account is verified, or the pending one becomes its address. Returns whether the
   * link was valid; it is not if another account got the address meanwhile.
   */
  async verify(userId: string, hash: string): Promise<boolean> {
    try {
      return (await runWrite(() => verifyStatement(db, { userId, hash }, notices))).length > 0
    } catch (error) {
      if (violatesConstraint(error, 'users_email')) return false
      throw error
    }
  },

  /**
   * Creates an account that cannot be used before its link was used, and its message. For an address that has an
   * account, the row is a placeholder: it makes the work the same, and is deleted when the message was sent.
   * Returns false if another account got the address meanwhile.
   */
  async signUp(draft: Draft, template: MailTemplate): Promise<boolean> {
    try {
      await runWrite(() => signUpStatement(db, draft, template))
      return true
    } catch (error) {
      if (violatesConstraint(error, 'users_email')) return false
      throw error
    }
  },

  /** Stores a message for an account before there is a session. */
  async send(userId: string, template: MailTemplate, recipient: string): Promise<void> {
    await runWrite(() => db.insert(mailMessages).values(newMessage(userId, template, recipient)))
  },

  /** The addresses of a principal that are not verified; undefined if the session has ended. */
  async unverified(principal: Principal) {
    const { sessionRow } = createUserScope(db, scopeParameters(principal))
    const email = sql<
      string | null
    >`case when ${users.email_verified_at} is null then ${users.email} end`
    const [row] = await runRead(() =>
      db
        .with(sessionRow)
        .select({ email, pending_email: users.pending_email })
        .from(users)
        .innerJoin(sessionRow, TRUE)
        .where(eq(users.id, principal.userId)),
    )
    return row
  },
})

export type EmailVerificationRepository = ReturnType<typeof createEmailVerificationRepository>

/** `isKnown`: another account has the address, so the row is a placeholder. */
type Draft = { email: string; password_hash: string; name: string | null; isKnown: boolean }

const signUpStatement = (db: Db, draft: Draft, template: MailTemplate) => {
  const { isKnown, email: recipient, ...others } = draft
  const id = Bun.randomUUIDv7()
  const account = db.$with('account').as(
    db
      .insert(users)
      .values({
        ...others,
        id,
        email: isKnown ? placeholderEmail(id) : recipient,
        created_at: now(),
        is_verification_due: true,
      })
      .returning({ id: users.id, email: users.email }),
  )
  const counter = insertChangeCounter(db, account, account.id)
  const message = insertMessage(db, account, { userId: id, template, recipient })
  return db.with(account, counter, message).select().from(account)
}

type Link = { userId: string; hash: string }

const verifyStatement = (db: Db, { userId, hash }: Link, notices: NoticeStatements) => {
  const lockedUser = lockUser(db, userId)
  const isLocked = exists(db.select().from(lockedUser))
  // The row lock evaluates the condition again after a concurrent use.
  const valid = db.$with('valid').as(
    db
      .select({ user_id: mailLinks.user_id, address: mailLinks.email })
      .from(mailLinks)
      .where(and(isValidLink({ userId, kind: 'verify', hash }), isLocked))
      .for('update'),
  )
  const isOfLink = or(eq(users.email, valid.address), eq(users.pending_email, valid.address))
  const account = db.$with('account').as(
    db
      .update(users)
      .set({
        email: sql`${valid.address}`,
        pending_email: sql`nullif(${users.pending_email}, ${valid.address})`,
        email_verified_at: now(),
        is_verification_due: false,
      })
      .from(valid)
      .where(and(eq(users.id, userId), isOfLink, isNull(users.disabled_at)))
      .returning({ id: users.id, email: users.email }),
  )
  // A statement sees the row as it was before.
  const previous = db
    .$with('previous')
    .as(
      db
        .select({ id: users.id, email: users.email })
        .from(users)
        .innerJoin(account, ne(account.email, users.email))
        .where(eq(users.id, userId)),
    )
  const invalidated = invalidateLinks(db, account, userId)
  const notice = notices.ofVerifiedEmail(previous, userId)
  const noticed = notice.length > 0 ? [previous, ...notice] : []
  return db
    .with(lockedUser, valid, account, invalidated, ...noticed)
    .select({ id: account.id })
    .from(account)
}
