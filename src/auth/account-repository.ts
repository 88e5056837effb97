import { and, eq, exists, ne } from 'drizzle-orm'
import type { Db } from '../db/client.ts'
import { reading, violates, writing } from '../db/faults.ts'
import { always, partsOf } from '../db/live.ts'
import { sessions, users } from '../db/schema.ts'
import { type Caller, whoOf } from './caller.ts'
import type { User } from './model.ts'
import { endSessionsOf } from './session-repository.ts'
import { credentials, shown } from './sign-in-repository.ts'

/**
 * The account of one caller. Each method is one statement that the caller's live
 * session is part of: `undefined` (or `false`) means that it has ended.
 */
export const accountOf = (db: Db, caller: Caller) => {
  const { userId, sessionId } = caller
  const { live, locked } = partsOf(db, whoOf(caller))
  const me = eq(users.id, userId)
  const mine = and(me, exists(db.select().from(locked)))
  const mineStill = (verified: string) => and(mine, eq(users.password_hash, verified))

  return {
    async isLive(): Promise<boolean> {
      return (await reading(() => db.with(live).select().from(live))).length > 0
    },

    async me(): Promise<User | undefined> {
      const found = db.with(live).select(shown).from(users).innerJoin(live, always).where(me)
      return (await reading(() => found))[0]
    },

    async credentials() {
      const found = db.with(live).select(credentials).from(users).innerJoin(live, always).where(me)
      return (await reading(() => found))[0]
    },

    async rename(name: string | null): Promise<User | undefined> {
      const [renamed] = await writing(() =>
        db.with(live, locked).update(users).set({ name }).where(mine).returning(shown),
      )
      return renamed
    },

    /** `'taken'` where another account has the e-mail; `verified` is the password hash that was checked. */
    async move(
      changes: { email: string; name?: string | null },
      verified: string,
    ): Promise<User | 'taken' | undefined> {
      try {
        const moving = db.with(live, locked).update(users).set(changes).where(mineStill(verified))
        return (await writing(() => moving.returning(shown)))[0]
      } catch (error) {
        if (violates(error, 'users_email')) return 'taken'
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
      const found = await writing(() =>
        db.with(live, locked, changed, ended).select().from(changed),
      )
      if (found.length === 0) return false
      // From here on nobody signs in with the old password; who did just before, goes now.
      await endSessionsOf(db, userId, sessionId)
      return true
    },

    /** Erases the account and all that is its own. */
    async erase(verified: string): Promise<boolean> {
      const erasing = db.with(live, locked).delete(users).where(mineStill(verified))
      return (await writing(() => erasing.returning({ id: users.id }))).length > 0
    },
  }
}

export type Account = ReturnType<typeof accountOf>
