import { and, eq, exists, isNull, lte, type Subquery, sql } from 'drizzle-orm'
import type { Db } from '../../db/client.ts'
import { addSeconds, now } from '../../db/clock.ts'
import { runRead, runWrite, violatesConstraint } from '../../db/faults.ts'
import { sessions, userChanges, users } from '../../db/schema.ts'
import { lockUser } from '../../db/user-scope.ts'
import type { User } from '../schema.ts'

/** What a user may see of their own row. */
export const userColumns = {
  id: users.id,
  email: users.email,
  name: users.name,
  created_at: users.created_at,
}

/** For verifying a password. Whoever has an e-mail has one: a check of the table says so. */
export const credentials = {
  id: users.id,
  email: sql<string>`${users.email}`,
  password_hash: sql<string>`${users.password_hash}`,
}

/** What a sign-in token may do. */
const fullScope = 'tasks:read tasks:write'

type NewUser = { email: string; name: string | null; password_hash: string }
export type Session = { id: string; started_at: string; expires_at: string }
export type StartedSession = { user: User; session: Session }

/** What happens before anybody is signed in: accounts are found by their e-mail, and sessions start. */
export const createSignInRepository = (db: Db, ttlSeconds: number) => ({
  /** The new user and their first session; nothing where the e-mail is taken. */
  async register(draft: NewUser): Promise<StartedSession | undefined> {
    const session = newSession(ttlSeconds)
    try {
      const [user] = await runWrite(() => registerStatement(db, draft, session))
      return user && { user, session }
    } catch (error) {
      if (violatesConstraint(error, 'users_email')) return undefined
      throw error
    }
  },

  async credentials(email: string) {
    const [found] = await runRead(() =>
      db
        .select({ ...credentials, disabled_at: users.disabled_at })
        .from(users)
        .where(eq(users.email, email)),
    )
    return found
  },

  /**
   * A session for the user, and expired ones swept; nothing where the account is gone or
   * disabled, or its password is no longer the one that was verified. `rehashed` replaces a
   * hash of a lower cost.
   */
  async signIn(
    userId: string,
    verified: string,
    rehashed = verified,
  ): Promise<StartedSession | undefined> {
    const session = newSession(ttlSeconds)
    const [user] = await runWrite(() =>
      signInStatement(db, { userId, verified, rehashed }, session),
    )
    return user && { user, session }
  },
})

export type SignInRepository = ReturnType<typeof createSignInRepository>

const newSession = (ttlSeconds: number): Session => {
  const started_at = now()
  return { id: Bun.randomUUIDv7(), started_at, expires_at: addSeconds(started_at, ttlSeconds) }
}

const registerStatement = (db: Db, draft: NewUser, session: Session) => {
  const account = db.$with('account').as(
    db
      .insert(users)
      .values({ ...draft, id: Bun.randomUUIDv7(), created_at: session.started_at })
      .returning(userColumns),
  )
  const counter = insertChangeCounter(db, account, account.id)
  const started = insertSession(db, account, newSessionRow(session, account.id))
  return db.with(account, counter, started).select().from(account)
}

type Verified = { userId: string; verified: string; rehashed: string }

/** Password and `disabled_at` are looked at once more under the row's lock: a change that came between ends this sign-in. */
const signInStatement = (db: Db, { userId, verified, rehashed }: Verified, session: Session) => {
  const lockedUser = lockUser(db, userId)
  const isAllowed = and(eq(users.password_hash, verified), isNull(users.disabled_at))
  const account = db.$with('account').as(
    db
      .update(users)
      .set({ password_hash: rehashed })
      .from(lockedUser)
      .where(and(eq(users.id, userId), isAllowed))
      .returning(userColumns),
  )
  const isExpired = and(eq(sessions.user_id, userId), lte(sessions.expires_at, session.started_at))
  const swept = db.$with('swept').as(
    db
      .delete(sessions)
      .where(and(isExpired, exists(db.select().from(account))))
      .returning({ id: sessions.id }),
  )
  const started = insertSession(db, account, newSessionRow(session, account.id))
  return db.with(lockedUser, account, swept, started).select().from(account)
}

/** The part that gives a new user the counter of their changes. */
export const insertChangeCounter = (db: Db, made: Subquery, id: unknown) => {
  const row = { user_id: sql`${id}`.as('user_id'), last: sql`0`.as('last') }
  return db
    .$with('counter')
    .as(
      db
        .insert(userChanges)
        .select(db.select(row).from(made))
        .returning({ user_id: userChanges.user_id }),
    )
}

/** The part that starts a session for whoever an earlier part has made or let in. */
export const insertSession = (db: Db, who: Subquery, row: ReturnType<typeof newSessionRow>) =>
  db
    .$with('started')
    .as(db.insert(sessions).select(db.select(row).from(who)).returning({ id: sessions.id }))

/** The row of a sign-in's session; `issuer` where somebody else has signed the user in. */
export const newSessionRow = (session: Session, userId: unknown, issuer: string | null = null) => ({
  user_id: sql`${userId}`.as('user_id'),
  id: sql`${session.id}::uuid`.as('id'),
  kind: sql`'sign-in'::session_kind`.as('kind'),
  name: sql`${issuer}::text`.as('name'),
  scope: sql`${fullScope}::text`.as('scope'),
  created_at: sql`${session.started_at}::timestamptz`.as('created_at'),
  expires_at: sql`${session.expires_at}::timestamptz`.as('expires_at'),
  last_seen_at: sql`${session.started_at}::timestamptz`.as('last_seen_at'),
})
