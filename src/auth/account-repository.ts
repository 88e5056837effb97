import { and, eq, exists, ne } from 'drizzle-orm'
import type { Db } from '../db/client.ts'
import { reading, violates, writing } from '../db/faults.ts'
import { always, partsOf } from '../db/live.ts'
import { now } from '../db/now.ts'
import { sessions, users } from '../db/schema.ts'
import type { Caller } from './caller.ts'
import type { User } from './model.ts'
import { shown } from './repository.ts'

/**
 * The account of one caller. Each method is one statement that the caller's live
 * session is part of: `undefined` (or `false`) means that it has ended.
 */
export const accountOf = (db: Db, { userId, sessionId }: Caller) => {
  const at = now()
  const { live, locked } = partsOf(db, { user: userId, session: sessionId, now: at })
  const mine = eq(sessions.user_id, userId)
  const isLocked = exists(db.select().from(locked))
  const me = eq(users.id, userId)

  return {
    async isLive(): Promise<boolean> {
      const found = await reading(() => db.with(live).select().from(live))
      return found.length > 0
    },

    async me(): Promise<User | undefined> {
      const [found] = await reading(() =>
        db.with(live).select(shown).from(users).innerJoin(live, always).where(me),
      )
      return found
    },

    async credentials() {
      const [found] = await reading(() =>
        db
          .with(live)
          .select({ email: users.email, password_hash: users.password_hash })
          .from(users)
          .innerJoin(live, always)
          .where(me),
      )
      return found
    },

    async rename(name: string | null): Promise<User | undefined> {
      const [renamed] = await writing(() =>
        db.with(live, locked).update(users).set({ name }).where(and(me, isLocked)).returning(shown),
      )
      return renamed
    },

    /** `'taken'` where another account has the e-mail; `verified` is the password hash that was checked. */
    async move(
      changes: { email: string; name?: string | null },
      verified: string,
    ): Promise<User | 'taken' | undefined> {
      try {
        const [moved] = await writing(() =>
          db
            .with(live, locked)
            .update(users)
            .set(changes)
            .where(and(me, eq(users.password_hash, verified), isLocked))
            .returning(shown),
        )
        return moved
      } catch (error) {
        if (violates(error, 'users_email')) return 'taken'
        throw error
      }
    },

    /** Every other session ends with the old password. */
    async changePassword(verified: string, password_hash: string): Promise<boolean> {
      const changed = db.$with('changed').as(
        db
          .update(users)
          .set({ password_hash })
          .where(and(me, eq(users.password_hash, verified), isLocked))
          .returning({ id: users.id }),
      )
      const ended = db.$with('ended').as(
        db
          .delete(sessions)
          .where(and(mine, ne(sessions.id, sessionId), exists(db.select().from(changed))))
          .returning({ id: sessions.id }),
      )
      const found = await writing(() =>
        db.with(live, locked, changed, ended).select().from(changed),
      )
      return found.length > 0
    },

    /** Erases the account and all that is its own. */
    async erase(verified: string): Promise<boolean> {
      const erased = await writing(() =>
        db
          .with(live, locked)
          .delete(users)
          .where(and(me, eq(users.password_hash, verified), isLocked))
          .returning({ id: users.id }),
      )
      return erased.length > 0
    },
  }
}

export type Account = ReturnType<typeof accountOf>
