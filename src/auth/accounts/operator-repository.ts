import { and, asc, eq, exists, gt, sql } from 'drizzle-orm'
import type { PgUpdateSetSource } from 'drizzle-orm/pg-core'
import type { Db } from '../../db/client.ts'
import { now } from '../../db/clock.ts'
import { runRead, runWrite } from '../../db/faults.ts'
import { users } from '../../db/schema.ts'
import { lockUser } from '../../db/user-scope.ts'
import { normalizeEmail, normalizeId } from '../../schema/types.ts'
import { endAllSessions } from '../sessions/repository.ts'

/** Rows that one statement of a list reads. */
const pageMax = 1000

/** Rounds of ending sessions. Each but the last ends some that came in the one before. */
const roundsMax = 100

const listed = {
  id: users.id,
  email: users.email,
  created_at: users.created_at,
  disabled_at: users.disabled_at,
}

/** All accounts, as the operator sees them from the command line. */
export const createAccountDirectory = (db: Db, pageRows = pageMax) => ({
  /** Page by page, oldest first: ids are UUIDv7. */
  async *pages() {
    for (let after: string | undefined; ; ) {
      const page = await runRead(() =>
        db
          .select(listed)
          .from(users)
          .where(after === undefined ? undefined : gt(users.id, after))
          .orderBy(asc(users.id))
          .limit(pageRows),
      )
      yield page
      after = page.at(-1)?.id
      if (page.length < pageRows) return
    }
  },

  /** By e-mail or by id: whom another identity provider signs in has no e-mail here. */
  async find(account: string) {
    const isIt = account.includes('@')
      ? eq(users.email, normalizeEmail(account))
      : eq(users.id, normalizeId(account))
    return (await runRead(() => db.select(listed).from(users).where(isIt)))[0]
  },
})

/**
 * One account in the operator's hands: nobody's session or password is asked for. Each method
 * tells whether the account was there.
 */
export const createOperatedAccount = (db: Db, userId: string) => {
  const lockedUser = lockUser(db, userId)
  const theirs = and(eq(users.id, userId), exists(db.select().from(lockedUser)))
  const change = async (changes: PgUpdateSetSource<typeof users>) => {
    const changing = db.with(lockedUser).update(users).set(changes).where(theirs)
    return (await runWrite(() => changing.returning({ id: users.id }))).length > 0
  }

  /**
   * A statement ends the sessions that were there when it began. One that was started by a
   * session of those while it waited for the lock is left, so it is asked again until none is.
   */
  const endSessions = async () => {
    for (let round = 0; round < roundsMax; round++)
      if ((await endAllSessions(db, userId)) === 0) return
    throw new Error('sessions are started faster than they end')
  }

  return {
    /** Nobody signs in any more, and every session and personal token ends. */
    async disable(): Promise<boolean> {
      // The first time stays, however often it is said.
      const disabled_at = sql`coalesce(${users.disabled_at}, ${now()}::timestamptz)`
      const disabled = await change({ disabled_at })
      // After it: from there on no sign-in starts one more.
      await endSessions()
      return disabled
    },

    enable: () => change({ disabled_at: null }),

    /** Ends every session too: whoever is in may be the one whom the new password is to keep out. */
    async replacePassword(password_hash: string): Promise<boolean> {
      const replaced = await change({ password_hash })
      await endSessions()
      return replaced
    },

    /** Erases the account and all that is its own, by the statement of the account's own route. */
    async erase(): Promise<boolean> {
      const erasing = db.with(lockedUser).delete(users).where(theirs)
      return (await runWrite(() => erasing.returning({ id: users.id }))).length > 0
    },
  }
}
