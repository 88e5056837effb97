import { and, eq, isNull, sql } from 'drizzle-orm'
import type { Db } from '../../db/client.ts'
import { now } from '../../db/clock.ts'
import { DatabaseUnavailable, runRead, runWrite } from '../../db/faults.ts'
import { identities, sessions, users } from '../../db/schema.ts'
import { lockUser, TRUE } from '../../db/user-scope.ts'
import {
  insertChangeCounter,
  insertSession,
  newSessionRow,
  type Session,
} from '../sign-in/repository.ts'

/** Who is meant by `subject` at `issuer`: the user, and the session that their tokens are of. */
export type FederatedUser = { userId: string; sessionId: string; isNew: boolean }

/** Between two looks somebody else may have made, or erased, the same user. */
const roundsMax = 5

/**
 * The users of other identity providers, by (`iss`, `sub`) and nothing else.
 *
 * Each has one session, which lives as long as their last token: so that a statement asks after
 * it as after any other, and an operator can end it.
 */
export const createFederatedUserRepository = (db: Db) => ({
  /**
   * The user of this name, made on first sight; their session lives until `expiresAt` (RFC 3339) or
   * longer. Of who is disabled it has ended, and stays so.
   */
  async findOrCreate(issuer: string, subject: string, expiresAt: string): Promise<FederatedUser> {
    for (let round = 0; round < roundsMax; round++) {
      const [found] = await runRead(() => finding(db, issuer, subject))
      if (found === undefined) {
        const [made] = await runWrite(() => making(db, { issuer, subject, expiresAt }))
        if (made !== undefined) return { ...made, isNew: true }
        continue
      }
      const { userId, sessionId, livesUntil, disabledAt } = found
      const findOrCreate = { userId, sessionId, isNew: false }
      if (disabledAt !== null) return findOrCreate
      if (livesUntil !== null && livesUntil >= expiresAt) return findOrCreate
      const session = { id: sessionId, started_at: now(), expires_at: expiresAt }
      if ((await runWrite(() => extending(db, userId, session, issuer))).length > 0)
        return findOrCreate
    }
    throw new DatabaseUnavailable('contended')
  },
})

export type FederatedUserRepository = ReturnType<typeof createFederatedUserRepository>

const named = { userId: identities.user_id, sessionId: identities.session_id }

const finding = (db: Db, issuer: string, subject: string) =>
  db
    .select({ ...named, livesUntil: sessions.expires_at, disabledAt: users.disabled_at })
    .from(identities)
    .innerJoin(users, eq(users.id, identities.user_id))
    .leftJoin(
      sessions,
      and(eq(sessions.user_id, identities.user_id), eq(sessions.id, identities.session_id)),
    )
    .where(and(eq(identities.issuer, issuer), eq(identities.subject, subject)))

type Newcomer = { issuer: string; subject: string; expiresAt: string }

/** Nothing where another request was first: its row is there to be found then. */
const making = (db: Db, { issuer, subject, expiresAt }: Newcomer) => {
  const session = { id: Bun.randomUUIDv7(), started_at: now(), expires_at: expiresAt }
  const identity = db
    .$with('identity')
    .as(
      db
        .insert(identities)
        .values({ issuer, subject, user_id: Bun.randomUUIDv7(), session_id: session.id })
        .onConflictDoNothing()
        .returning(named),
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
          })
          .from(identity),
      )
      .returning({ id: users.id }),
  )
  const counter = insertChangeCounter(db, identity, identity.userId)
  const started = insertSession(db, identity, newSessionRow(session, identity.userId, issuer))
  return db.with(identity, account, counter, started).select().from(identity)
}

/** Under the user's lock, like every write; nothing where the user has been erased or disabled since. */
const extending = (db: Db, userId: string, session: Session, issuer: string) => {
  const lockedUser = lockUser(db, userId)
  // A row lock, for the row as it is once the user's lock is had.
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
