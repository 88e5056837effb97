import { and, eq, exists, inArray, ne, type SQL, sql } from 'drizzle-orm'
import type { Db } from '../../db/database.ts'
import { runRead, runWrite, violatesConstraint } from '../../db/errors.ts'
import { sessions, users } from '../../db/schema.ts'
import { createUserScope, type Principal, scopeParameters, TRUE } from '../../db/user-scope.ts'
import { storedSpellings } from '../../schema/email.ts'
import { endAllSessions } from '../sessions/repository.ts'
import type { User } from './schema.ts'

/** The columns of `User`. */
export const userColumns = {
  id: users.id,
  email: users.email,
  name: users.name,
  created_at: users.created_at,
}

/** For password verification. A check of the table ensures that an e-mail comes with a password hash. */
export const credentialColumns = {
  id: users.id,
  email: sql<string>`${users.email}`,
  password_hash: sql<string>`${users.password_hash}`,
}

/**
 * The address for a new or changed account. If another account is stored under a spelling of it, the result is that
 * spelling, which violates the unique constraint.
 */
export const uniqueEmail = (db: Db, email: string, userId?: string): SQL<string> => {
  const isOther = userId === undefined ? undefined : ne(users.id, userId)
  const other = db
    .select({ email: users.email })
    .from(users)
    .where(and(inArray(users.email, storedSpellings(email)), isOther))
    .limit(1)
  return sql`coalesce(${other}, ${email})`
}

/**
 * The account of a principal. Each method is one statement that checks the session; `undefined` (or `false`) means
 * that the session has ended. `verifiedHash` is the password hash that was verified before: if it changed since,
 * the statement has no effect.
 */
export const createAccountRepository = (db: Db) => (principal: Principal) => {
  const { userId, sessionId } = principal
  const { sessionRow, lockedUser } = createUserScope(db, scopeParameters(principal))
  const isUser = eq(users.id, userId)
  const isLocked = and(isUser, exists(db.select().from(lockedUser)))
  const isVerified = (verifiedHash: string) => and(isLocked, eq(users.password_hash, verifiedHash))

  return {
    async me(): Promise<User | undefined> {
      const [user] = await runRead(() =>
        db
          .with(sessionRow)
          .select(userColumns)
          .from(users)
          .innerJoin(sessionRow, TRUE)
          .where(isUser),
      )
      return user
    },

    async credentials() {
      const [credentials] = await runRead(() =>
        db
          .with(sessionRow)
          .select(credentialColumns)
          .from(users)
          .innerJoin(sessionRow, TRUE)
          .where(isUser),
      )
      return credentials
    },

    async rename(name: string | null): Promise<User | undefined> {
      const updated = db.with(sessionRow, lockedUser).update(users).set({ name }).where(isLocked)
      return (await runWrite(() => updated.returning(userColumns)))[0]
    },

    /** `'taken'` if another account has the e-mail. */
    async changeEmail(
      changes: { email: string; name?: string | null },
      verifiedHash: string,
    ): Promise<User | 'taken' | undefined> {
      const condition = isVerified(verifiedHash)
      const email = uniqueEmail(db, changes.email, userId)
      const set = { ...changes, email }
      const updated = db.with(sessionRow, lockedUser).update(users).set(set).where(condition)
      try {
        return (await runWrite(() => updated.returning(userColumns)))[0]
      } catch (error) {
        if (violatesConstraint(error, 'users_email')) return 'taken'
        throw error
      }
    },

    /** Ends all other sessions. */
    async changePassword(verifiedHash: string, password_hash: string): Promise<boolean> {
      const updated = db.update(users).set({ password_hash }).where(isVerified(verifiedHash))
      const changed = db.$with('changed').as(updated.returning({ id: users.id }))
      const others = and(eq(sessions.user_id, userId), ne(sessions.id, sessionId))
      const deleted = db.delete(sessions).where(and(others, exists(db.select().from(changed))))
      const ended = db.$with('ended').as(deleted.returning({ id: sessions.id }))
      const rows = await runWrite(() =>
        db.with(sessionRow, lockedUser, changed, ended).select().from(changed),
      )
      if (rows.length === 0) return false
      // The old password starts no session from here on. Those that it started meanwhile end now.
      await endAllSessions(db, userId, sessionId)
      return true
    },

    /** Erases the account with all its rows. */
    async erase(verifiedHash: string): Promise<boolean> {
      const deleted = db.with(sessionRow, lockedUser).delete(users).where(isVerified(verifiedHash))
      return (await runWrite(() => deleted.returning({ id: users.id }))).length > 0
    },
  }
}

export type AccountRepository = ReturnType<typeof createAccountRepository>
