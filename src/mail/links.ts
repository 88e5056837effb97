import { and, eq, gt, inArray, isNotNull, isNull, ne, sql } from 'drizzle-orm'
import { addSeconds, now } from '../db/clock.ts'
import type { Db } from '../db/database.ts'
import { runRead, runWrite } from '../db/errors.ts'
import type { MailLinkKind } from '../db/mail-tables.ts'
import { arrayLiteral } from '../db/params.ts'
import { mailLinks, users } from '../db/schema.ts'
import { lockUser, TRUE } from '../db/user-scope.ts'
import { storedSpellings } from '../schema/email.ts'
import { closeVerificationLinks } from './invalid-links.ts'
import type { Message } from './outbox.ts'

/** Seconds until the link of an invitation or of a verification expires: it waits for its reader. */
export const invitationSeconds = 86_400

/** The account that a link is for, and the address that it is mailed to. */
export type LinkAccount = { id: string; email: string }
type LinkTarget = {
  kind: MailLinkKind
  hash: string
  seconds: number
  /** Which account: the one with the address of the recipient, in one of these states, or the one whose next address it is. */
  of: 'any' | 'unverified' | 'due' | 'pending'
}

/** The links of messages. `hash`: SHA-256 of a link's secret (`link-tokens.ts`). */
export const createMailLinks = (db: Db) => ({
  /**
   * Makes the link of a message valid for `seconds`. Undefined without such an account, and if the link was used, or a
   * newer one, a new password or a new e-mail has made it invalid.
   */
  async issue(message: Message, target: LinkTarget): Promise<LinkAccount | undefined> {
    // First, because only a statement for one user can lock a row on Citus.
    const [found] = await runRead(() => accountOf(db, message, target))
    if (found === undefined) return undefined
    return (await runWrite(() => issueStatement(db, found.id, message, target)))[0]
  },

  /** The e-mail of the account that a valid link is for. */
  async find(userId: string, kind: MailLinkKind, hash: string): Promise<string | undefined> {
    const [row] = await runRead(() =>
      db
        .select({ email: sql<string>`${users.email}` })
        .from(mailLinks)
        .innerJoin(users, eq(users.id, mailLinks.user_id))
        .where(and(isValidLink({ userId, kind, hash }), isNull(users.disabled_at))),
    )
    return row?.email
  },

  /** Whether another account has the address. */
  async isTaken(email: string, userId: string): Promise<boolean> {
    const isOther = and(inArray(users.email, storedSpellings(email)), ne(users.id, userId))
    return (await runRead(() => db.select({ id: users.id }).from(users).where(isOther))).length > 0
  },
})

export type MailLinks = ReturnType<typeof createMailLinks>

type Link = { userId: string; kind: MailLinkKind; hash: string }

/** The condition for the row of a link that can be used. */
export const isValidLink = ({ userId, kind, hash }: Link) =>
  and(
    eq(mailLinks.user_id, userId),
    eq(mailLinks.kind, kind),
    eq(mailLinks.token_hash, hash),
    gt(mailLinks.expires_at, now()),
  )

const issueStatement = (db: Db, userId: string, message: Message, target: LinkTarget) => {
  const lockedUser = lockUser(db, userId)
  // From before the lock was granted: a change that it waited for has made links of older messages invalid.
  const account = db.$with('account').as(accountOf(db, message, target, userId))
  const expires_at = addSeconds(now(), target.seconds)
  const link = {
    user_id: account.id,
    kind: sql`${target.kind}::text`.as('kind'),
    email: account.email,
    message_id: sql`${message.id}::uuid`.as('message_id'),
    token_hash: sql`${target.hash}::text`.as('token_hash'),
    expires_at: sql`${expires_at}::timestamptz`.as('expires_at'),
  }
  const issued = db.$with('issued').as(
    db
      .insert(mailLinks)
      .select(db.select(link).from(account).innerJoin(lockedUser, TRUE))
      .onConflictDoUpdate({
        target: [mailLinks.user_id, mailLinks.kind],
        set: {
          email: sql`excluded.email`,
          message_id: sql`excluded.message_id`,
          token_hash: sql`excluded.token_hash`,
          expires_at: sql`excluded.expires_at`,
        },
        // A message that is sent again must renew no older link. A used link has a newer id (`invalid-links.ts`).
        setWhere: sql`${mailLinks.message_id} <= excluded.message_id`,
      })
      .returning({ user_id: mailLinks.user_id }),
  )
  const others = target.of === 'due' ? [closeVerificationLinks(db, account, userId)] : []
  return db
    .with(lockedUser, account, issued, ...others)
    .select({ id: account.id, email: account.email })
    .from(account)
    .innerJoin(issued, eq(issued.user_id, account.id))
}

/** The account that a message is for; `userId`: only if it is still this one. */
const accountOf = (
  db: Db,
  { user_id, recipient }: Message,
  { of }: LinkTarget,
  userId?: string,
) => {
  const { id, email, pending_email, password_hash, disabled_at } = users
  const isEnabled = and(isNotNull(password_hash), isNull(disabled_at))
  const spellings = storedSpellings(recipient)
  const states = {
    any: inArray(email, spellings),
    unverified: and(inArray(email, spellings), isNull(users.email_verified_at)),
    due: and(inArray(email, spellings), eq(users.is_verification_due, true)),
    pending: and(eq(id, user_id), eq(pending_email, recipient)),
  }
  const address = of === 'pending' ? pending_email : email
  const isFound = userId === undefined ? undefined : eq(id, userId)
  return (
    db
      .select({ id, email: sql<string>`${address}`.as('email') })
      .from(users)
      .where(and(states[of], isEnabled, isFound))
      // The normal spelling first.
      .orderBy(sql`array_position(${arrayLiteral(spellings)}::text[], ${email})`)
      .limit(1)
  )
}
