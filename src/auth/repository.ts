import { and, eq, exists, lte, sql } from 'drizzle-orm'
import type { Db } from '../db/client.ts'
import { reading, violates, writing } from '../db/faults.ts'
import { later, now } from '../db/now.ts'
import { sessions, userChanges, users } from '../db/schema.ts'
import type { User } from './model.ts'

/** What a user may see of their own row. */
export const shown = {
  id: users.id,
  email: users.email,
  name: users.name,
  created_at: users.created_at,
}

/** What a sign-in token may do. */
export const fullScope = 'tasks:read tasks:write'

type NewUser = { email: string; name: string | null; password_hash: string }
type Started = { user: User; session: { id: string; expires_at: string } }

/** What happens before anybody is signed in: accounts are found by their e-mail, and sessions start. */
export const accountsOf = (db: Db, ttlSeconds: number) => {
  const startingSession = () => {
    const startedAt = now()
    return { id: Bun.randomUUIDv7(), startedAt, expires_at: later(startedAt, ttlSeconds) }
  }

  /** The row of a session for the user that the named CTE yields. */
  const sessionRow = (session: ReturnType<typeof startingSession>) => ({
    id: sql`${session.id}::uuid`.as('id'),
    kind: sql`'sign-in'::session_kind`.as('kind'),
    name: sql`null::text`.as('name'),
    scope: sql`${fullScope}::text`.as('scope'),
    created_at: sql`${session.startedAt}::timestamptz`.as('created_at'),
    expires_at: sql`${session.expires_at}::timestamptz`.as('expires_at'),
    last_seen_at: sql`${session.startedAt}::timestamptz`.as('last_seen_at'),
  })

  return {
    /** The new user and their first session; nothing where the e-mail is taken. */
    async register({ email, name, password_hash }: NewUser): Promise<Started | undefined> {
      const session = startingSession()
      const id = Bun.randomUUIDv7()
      const account = db.$with('account').as(
        db
          .insert(users)
          .values({ id, email, name, password_hash, created_at: session.startedAt })
          .returning(shown),
      )
      const counter = db.$with('counter').as(
        db
          .insert(userChanges)
          .select(
            db
              .select({ user_id: account.id, last: sql`0`.as('last') })
              .from(account),
          )
          .returning({ user_id: userChanges.user_id }),
      )
      const started = db.$with('started').as(
        db
          .insert(sessions)
          .select(db.select({ user_id: account.id, ...sessionRow(session) }).from(account))
          .returning({ id: sessions.id }),
      )

      try {
        const [user] = await writing(() =>
          db.with(account, counter, started).select().from(account),
        )
        return user && { user, session }
      } catch (error) {
        if (violates(error, 'users_email')) return undefined
        throw error
      }
    },

    async credentials(email: string) {
      const [found] = await reading(() =>
        db
          .select({ id: users.id, password_hash: users.password_hash })
          .from(users)
          .where(eq(users.email, email)),
      )
      return found
    },

    /**
     * A session for the user, and expired ones swept; nothing where the account is
     * gone or its password is no longer the one that was verified. `rehashed`
     * replaces a hash of a lower cost.
     */
    async signIn(userId: string, verified: string, rehashed = verified): Promise<Started | undefined> {
      const session = startingSession()
      const locked = db
        .$with('locked')
        .as(
          db
            .select({ user_id: userChanges.user_id })
            .from(userChanges)
            .where(eq(userChanges.user_id, userId))
            .for('update'),
        )
      const account = db.$with('account').as(
        db
          .update(users)
          .set({ password_hash: rehashed })
          .from(locked)
          .where(and(eq(users.id, userId), eq(users.password_hash, verified)))
          .returning(shown),
      )
      const swept = db.$with('swept').as(
        db
          .delete(sessions)
          .where(
            and(
              eq(sessions.user_id, userId),
              lte(sessions.expires_at, session.startedAt),
              exists(db.select().from(account)),
            ),
          )
          .returning({ id: sessions.id }),
      )
      const started = db.$with('started').as(
        db
          .insert(sessions)
          .select(db.select({ user_id: account.id, ...sessionRow(session) }).from(account))
          .returning({ id: sessions.id }),
      )

      const [user] = await writing(() =>
        db.with(locked, account, swept, started).select().from(account),
      )
      return user && { user, session }
    },
  }
}

export type Accounts = ReturnType<typeof accountsOf>
