import { and, eq, exists, ne } from 'drizzle-orm'
import type { Db } from '../../db/client.ts'
import { runRead, runWrite, violatesConstraint } from '../../db/faults.ts'
import { sessions, users } from '../../db/schema.ts'
import { createUserScope, type Principal, scopeParameters, TRUE } from '../../db/user-scope.ts'
import type { User } from '../schema.ts'
import { endAllSessions } from '../sessions/repository.ts'
import { credentials, userColumns } from '../sign-in/repository.ts'

/**
 * The account of one caller. Each method is one statement that the caller's live
 * session is part of: `undefined` (or `false`) means that it has ended.
 */
export const createAccountRepository = (db: Db, principal: Principal) => {
  const { userId, sessionId } = principal
  const { sessionRow, lockedUser } = createUserScope(db, scopeParameters(principal))
  const me = eq(users.id, userId)
  const mine = and(me, exists(db.select().from(lockedUser)))
  const mineStill = (verified: string) => and(mine, eq(users.password_hash, verified))

  return {
    async isLive(): Promise<boolean> {
      return (await runRead(() => db.with(sessionRow).select().from(sessionRow))).length > 0
    },

    async me(): Promise<User | undefined> {
      const found = db
        .with(sessionRow)
        .select(userColumns)
        .from(users)
        .innerJoin(sessionRow, TRUE)
        .where(me)
      return (await runRead(() => found))[0]
    },

    async credentials() {
      const found = db
        .with(sessionRow)
        .select(credentials)
        .from(users)
        .innerJoin(sessionRow, TRUE)
        .where(me)
      return (await runRead(() => found))[0]
    },

    async rename(name: string | null): Promise<User | undefined> {
      const [renamed] = await runWrite(() =>
        db
          .with(sessionRow, lockedUser)
          .update(users)
          .set({ name })
          .where(mine)
          .returning(userColumns),
      )
      return renamed
    },

    /** `'taken'` where another account has the e-mail; `verified` is the password hash that was checked. */
    async move(
      changes: { email: string; name?: string | null },
      verified: string,
    ): Promise<User | 'taken' | undefined> {
      try {
        const moving = db
          .with(sessionRow, lockedUser)
          .update(users)
          .set(changes)
          .where(mineStill(verified))
        return (await runWrite(() => moving.returning(userColumns)))[0]
      } catch (error) {
        if (violatesConstraint(error, 'users_email')) return 'taken'
        throw error
      }
    },

    /** Every other session ends with the old password. */
    async changePassword(verified: string, password_hash: string): Promise<boolean> {
      const changing = db.update(users).set({ password_hash }).where(mineStill(verified))
      const changed = db.$with('changed').as(changing.returning({ id: users.id }))
      const others = and(eq(sessions.user_id, userId), ne(sessions.id, sessionId))
      const ending = db.delete(sessions).where(and(others, exists(db.select().from(changed))))
      const ended = db.$with('ended').as(ending.returning({ id: sessions.id }))
      const found = await runWrite(() =>
        db.with(sessionRow, lockedUser, changed, ended).select().from(changed),
      )
      if (found.length === 0) return false
      // From here on nobody signs in with the old password; who did just before, goes now.
      await endAllSessions(db, userId, sessionId)
      return true
    },

    /** Erases the account and all that is its own. */
    async erase(verified: string): Promise<boolean> {
      const erasing = db.with(sessionRow, lockedUser).delete(users).where(mineStill(verified))
      return (await runWrite(() => erasing.returning({ id: users.id }))).length > 0
    },
  }
}

export type AccountRepository = ReturnType<typeof createAccountRepository>
