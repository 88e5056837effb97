import { and, eq, isNull, sql } from 'drizzle-orm'
import { now } from '../../db/clock.ts'
import type { Db } from '../../db/database.ts'
import { DatabaseUnavailable, runRead, runWrite } from '../../db/errors.ts'
import { identities, sessions, users } from '../../db/schema.ts'
import { lockUser, TRUE } from '../../db/user-scope.ts'
import {
  insertChangeCounter,
  insertSession,
  newSessionRow,
  type Session,
} from '../sign-in/repository.ts'

/** The user of an issuer's subject, and the one session for all tokens of this user. */
export type FederatedUser = { userId: string; sessionId: string; isNew: boolean }

/** Another request may create or erase the same user between two statements. */
const attemptsMax = 5

/**
 * The users of trusted issuers, found by (`iss`, `sub`) only.
 *
 * Each has one session, which lives as long as the last token. So statements check it like every other session, and
 * an operator can end it.
 */
export const createFederatedUserRepository = (db: Db) => ({
  /**
   * Returns the user, created at first use, with a session until `expiresAt` (RFC 3339) or longer. The session of a
   * disabled user has ended and is not renewed.
   */
  async findOrCreate(issuer: string, subject: string, expiresAt: string): Promise<FederatedUser> {
    for (let attempt = 0; attempt < attemptsMax; attempt++) {
      const [found] = await runRead(() => findStatement(db, issuer, subject))
      if (found === undefined) {
        const [created] = await runWrite(() => createStatement(db, { issuer, subject, expiresAt }))
        if (created !== undefined) return { ...created, isNew: true }
        continue
      }
      const { userId, sessionId, livesUntil, disabledAt } = found
      const user = { userId, sessionId, isNew: false }
      if (disabledAt !== null) return user
      if (livesUntil !== null && livesUntil >= expiresAt) return user
      const session = { id: sessionId, started_at: now(), expires_at: expiresAt }
      if ((await runWrite(() => extendStatement(db, userId, session, issuer))).length > 0)
        return user
    }
    throw new DatabaseUnavailable('contended')
  },
})

export type FederatedUserRepository = ReturnType<typeof createFederatedUserRepository>

const userIds = { userId: identities.user_id, sessionId: identities.session_id }

const findStatement = (db: Db, issuer: string, subject: string) =>
  db
    .select({ ...userIds, livesUntil: sessions.expires_at, disabledAt: users.disabled_at })
    .from(identities)
    .innerJoin(users, eq(users.id, identities.user_id))
    .leftJoin(
      sessions,
      and(eq(sessions.user_id, identities.user_id), eq(sessions.id, identities.session_id)),
    )
    .where(and(eq(identities.issuer, issuer), eq(identities.subject, subject)))

type NewFederatedUser = { issuer: string; subject: string; expiresAt: string }

/** No row if another request was first; then the user can be found. */
const createStatement = (db: Db, { issuer, subject, expiresAt }: NewFederatedUser) => {
  const session = { id: Bun.randomUUIDv7(), started_at: now(), expires_at: expiresAt }
  const identity = db
    .$with('identity')
    .as(
      db
        .insert(identities)
        .values({ issuer, subject, user_id: Bun.randomUUIDv7(), session_id: session.id })
        .onConflictDoNothing()
        .returning(userIds),
    )
  const account = db.$with('account').as(
    db
      .insert(users)
      .select(
        db
          .select({
            id: identity.userId,
            email: sql`null::text`.as('email'),
            password_hash: sql`null::text`.as('password_hash'),
            name: sql`null::text`.as('name'),
            created_at: sql`${session.started_at}::timestamptz`.as('created_at'),
            disabled_at: sql`null::timestamptz`.as('disabled_at'),
            email_verified_at: sql`null::timestamptz`.as('email_verified_at'),
            is_verification_due: sql`false`.as('is_verification_due'),
            pending_email: sql`null::text`.as('pending_email'),
            time_zone: sql`'UTC'`.as('time_zone'),
            reminders_by_mail: sql`false`.as('reminders_by_mail'),
          })
          .from(identity),
      )
      .returning({ id: users.id }),
  )
  const counter = insertChangeCounter(db, identity, identity.userId)
  const started = insertSession(db, identity, newSessionRow(session, identity.userId, issuer))
  return db.with(identity, account, counter, started).select().from(identity)
}

/** Under the user's lock, like every write. No row if the user was erased or disabled since. */
const extendStatement = (db: Db, userId: string, session: Session, issuer: string) => {
  const lockedUser = lockUser(db, userId)
  // A row lock reads the row as it is after the user's lock was granted.
  const enabled = db.$with('enabled').as(
    db
      .select({ user_id: users.id })
      .from(users)
      .innerJoin(lockedUser, TRUE)
      .where(and(eq(users.id, userId), isNull(users.disabled_at)))
      .for('share', { of: users }),
  )
  return db
    .with(lockedUser, enabled)
    .insert(sessions)
    .select(db.select(newSessionRow(session, enabled.user_id, issuer)).from(enabled))
    .onConflictDoUpdate({
      target: [sessions.user_id, sessions.id],
      set: {
        expires_at: sql`greatest(${sessions.expires_at}, excluded.expires_at)`,
        last_seen_at: sql`excluded.last_seen_at`,
      },
    })
    .returning({ id: sessions.id })
}
