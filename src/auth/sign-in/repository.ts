import { and, eq, exists, inArray, isNull, type Subquery, sql } from 'drizzle-orm'
import { addSeconds, now } from '../../db/clock.ts'
import type { Db } from '../../db/database.ts'
import { runRead, runWrite, violatesConstraint } from '../../db/errors.ts'
import { sessions, userChanges, users } from '../../db/schema.ts'
import { hasExpired, lockUser } from '../../db/user-scope.ts'
import { storedSpellings } from '../../schema/email.ts'
import { isStoredOtherwise } from '../accounts/earlier-spelling.ts'
import type { User } from '../accounts/schema.ts'
import { userColumns } from '../accounts/statements.ts'

/** The scope of a sign-in token. */
const fullScope = 'tasks:read tasks:write'

type Settings = { ttlSeconds: number; sessionMaxDays: number }
type Credentials = {
  user: User & { email: string }
  password_hash: string
  disabled_at: string | null
  is_verification_due: boolean
}
type NewUser = { email: string; name: string | null; password_hash: string }
export type Session = {
  id: string
  started_at: string
  expires_at: string
  /** Absent for a federated user, whose session has no refresh token. */
  refresh_expires_at?: string
  user_agent?: string | null
}
export type StartedSession = { user: User; session: Session & { refresh_expires_at: string } }

/** Sign-up and sign-in, before there is a principal: accounts are found by e-mail, and sessions start. */
export const createSignInRepository = (db: Db, { ttlSeconds, sessionMaxDays }: Settings) => {
  const newSession = (user_agent: string | null) => {
    const started_at = now()
    const secondsMax = sessionMaxDays * 86_400
    return {
      id: Bun.randomUUIDv7(),
      started_at,
      expires_at: addSeconds(started_at, Math.min(ttlSeconds, secondsMax)),
      refresh_expires_at: addSeconds(started_at, secondsMax),
      user_agent,
    }
  }

  return {
    /** Creates a user and the first session; undefined if the e-mail is taken. */
    async register(draft: NewUser, userAgent: string | null): Promise<StartedSession | undefined> {
      if (await isStoredOtherwise(db, draft.email)) return undefined
      const session = newSession(userAgent)
      try {
        const [user] = await runWrite(() => registerStatement(db, draft, session))
        return user && { user, session }
      } catch (error) {
        if (violatesConstraint(error, 'users_email')) return undefined
        throw error
      }
    },

    /** The account with an address. The statement has a row for an unknown one too, which takes the same time. */
    async credentials(email: string): Promise<Credentials | undefined> {
      const spellings = storedSpellings(email)
      const found = await runRead(() =>
        db
          .select({
            user: userColumns,
            password_hash: users.password_hash,
            disabled_at: users.disabled_at,
            is_verification_due: users.is_verification_due,
          })
          .from(sql`(select 1) as always`)
          .leftJoin(users, inArray(users.email, spellings)),
      )
      const rank = ({ user }: (typeof found)[number]) => spellings.indexOf(user?.email ?? '')
      const [account] = found.sort((a, b) => rank(a) - rank(b))
      return account?.user ? (account as Credentials) : undefined
    },

    /**
     * Starts a session and deletes expired ones. Undefined if the account was erased or disabled, or if its password
     * is no longer the verified one.
     */
    async signIn(
      verified: VerifiedPassword,
      userAgent: string | null,
    ): Promise<StartedSession | undefined> {
      const session = newSession(userAgent)
      const started = await runWrite(() => signInStatement(db, verified, session))
      return started.length > 0 ? { user: verified.user, session } : undefined
    },
  }
}

export type SignInRepository = ReturnType<typeof createSignInRepository>

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

/** `newHash` replaces a hash of a lower cost; otherwise it is the verified one. */
type VerifiedPassword = { user: User; verifiedHash: string; newHash: string }

/**
 * Checks password and `disabled_at` again under a row lock: a change since the verification ends the sign-in.
 *
 * On Citus, it needs only the node of the user: the account, which is on all nodes, is only written if the hash changes, and the
 * insertion is the statement itself.
 */
const signInStatement = (
  db: Db,
  { user: { id: userId }, verifiedHash, newHash }: VerifiedPassword,
  session: Session,
) => {
  const lockedUser = lockUser(db, userId)
  const isAllowed = and(
    eq(users.id, userId),
    eq(users.password_hash, verifiedHash),
    isNull(users.disabled_at),
    exists(db.select().from(lockedUser)),
  )
  const update = db.update(users).set({ password_hash: newHash }).where(isAllowed)
  const account = db
    .$with('account')
    .as(
      newHash === verifiedHash
        ? db.select({ id: users.id }).from(users).where(isAllowed).for('share')
        : update.returning({ id: users.id }),
    )
  const isExpired = and(eq(sessions.user_id, userId), hasExpired(session.started_at))
  const deletedSessions = db.$with('deleted_sessions').as(
    db
      .delete(sessions)
      .where(and(isExpired, exists(db.select().from(account))))
      .returning({ id: sessions.id }),
  )
  return db
    .with(lockedUser, account, deletedSessions)
    .insert(sessions)
    .select(db.select(newSessionRow(session, account.id)).from(account))
    .returning({ id: sessions.id })
}

/** A CTE that inserts the change counter of a new user. */
export const insertChangeCounter = (db: Db, account: Subquery, id: unknown) => {
  const row = { user_id: sql`${id}`.as('user_id'), last: sql`0`.as('last') }
  return db
    .$with('counter')
    .as(
      db
        .insert(userChanges)
        .select(db.select(row).from(account))
        .returning({ user_id: userChanges.user_id }),
    )
}

/** A CTE that inserts a session if the CTE `account` has a row. */
export const insertSession = (db: Db, account: Subquery, row: ReturnType<typeof newSessionRow>) =>
  db
    .$with('started')
    .as(db.insert(sessions).select(db.select(row).from(account)).returning({ id: sessions.id }))

/** The row of a sign-in session. `issuer` names the trusted issuer of a federated user. */
export const newSessionRow = (session: Session, userId: unknown, issuer: string | null = null) => ({
  user_id: sql`${userId}`.as('user_id'),
  id: sql`${session.id}::uuid`.as('id'),
  kind: sql`'sign-in'::session_kind`.as('kind'),
  name: sql`${issuer}::text`.as('name'),
  scope: sql`${fullScope}::text`.as('scope'),
  created_at: sql`${session.started_at}::timestamptz`.as('created_at'),
  expires_at: sql`${session.expires_at}::timestamptz`.as('expires_at'),
  last_seen_at: sql`${session.started_at}::timestamptz`.as('last_seen_at'),
  user_agent: sql`${session.user_agent ?? null}::text`.as('user_agent'),
  refresh_expires_at: sql`${session.refresh_expires_at ?? null}::timestamptz`.as(
    'refresh_expires_at',
  ),
  refresh_generation: sql`0`.as('refresh_generation'),
  rotated_at: sql`null::timestamptz`.as('rotated_at'),
  refreshed_at: sql`null::timestamptz`.as('refreshed_at'),
  secret_hash: sql`null::text`.as('secret_hash'),
})
