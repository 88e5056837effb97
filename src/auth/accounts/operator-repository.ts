import { and, asc, eq, exists, gt, inArray, sql } from 'drizzle-orm'
import type { PgUpdateSetSource } from 'drizzle-orm/pg-core'
import { now } from '../../db/clock.ts'
import type { Db } from '../../db/database.ts'
import { runRead, runWrite } from '../../db/errors.ts'
import { users } from '../../db/schema.ts'
import { lockUser } from '../../db/user-scope.ts'
import type { NoticeStatements } from '../../mail/notices.ts'
import { storedSpellings } from '../../schema/email.ts'
import { normalizeId } from '../../schema/types.ts'
import { endAllSessions } from '../sessions/repository.ts'

/** Rows per statement of the list. */
const pageRowsMax = 1000

/** Attempts to end all sessions. Each but the last ends sessions that started during the one before. */
const roundsMax = 100

const accountColumns = {
  id: users.id,
  email: users.email,
  created_at: users.created_at,
  disabled_at: users.disabled_at,
}

/** All accounts, for operator commands. */
export const createAccountDirectory = (db: Db, pageRows = pageRowsMax) => ({
  /** Pages, oldest account first (ids are UUIDv7). */
  async *pages() {
    for (let after: string | undefined; ; ) {
      const page = await runRead(() =>
        db
          .select(accountColumns)
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

  /** By e-mail or id; users of trusted issuers have no e-mail. */
  async find(account: string) {
    const condition = account.includes('@')
      ? inArray(users.email, storedSpellings(account))
      : eq(users.id, normalizeId(account))
    return (await runRead(() => db.select(accountColumns).from(users).where(condition)))[0]
  },
})

/** Operations on one account without its session or password. Each returns whether the account exists. */
export const createOperatedAccount = (db: Db, userId: string, notices: NoticeStatements) => {
  const lockedUser = lockUser(db, userId)
  const isAccount = and(eq(users.id, userId), exists(db.select().from(lockedUser)))
  const change = async (changes: PgUpdateSetSource<typeof users>) => {
    const changing = db.update(users).set(changes).where(isAccount).returning({ id: users.id })
    // As the last part of the statement, Citus refuses to write a table of all nodes.
    const changed = db.$with('changed').as(changing)
    return (await runWrite(() => db.with(lockedUser, changed).select().from(changed))).length > 0
  }

  /**
   * A statement ends the sessions from before it began. A session that started while it waited for the lock remains,
   * so the statement is repeated until none does.
   */
  const endSessions = async () => {
    for (let round = 0; round < roundsMax; round++)
      if ((await endAllSessions(db, userId)) === 0) return
    throw new Error('sessions are started faster than they end')
  }

  return {
    /** Refuses sign-in, and ends all sessions and personal tokens. */
    async disable(): Promise<boolean> {
      // Disabling again keeps the first time.
      const disabled_at = sql`coalesce(${users.disabled_at}, ${now()}::timestamptz)`
      const disabled = await change({ disabled_at })
      // Afterwards, because from here on no sign-in starts a session.
      await endSessions()
      return disabled
    },

    enable: () => change({ disabled_at: null }),

    /** Ends all sessions too: an intruder may have one of them. */
    async replacePassword(password_hash: string): Promise<boolean> {
      const updating = db.update(users).set({ password_hash }).where(isAccount)
      const replaced = db
        .$with('replaced')
        .as(updating.returning({ id: users.id, email: users.email }))
      const rows = await runWrite(() =>
        db
          .with(lockedUser, replaced, ...notices.ofNewPassword(replaced, userId))
          .select()
          .from(replaced),
      )
      await endSessions()
      return rows.length > 0
    },

    /** Erases the account with all its rows. */
    async erase(): Promise<boolean> {
      const deleting = db.delete(users).where(isAccount)
      const deleted = db
        .$with('deleted')
        .as(deleting.returning({ id: users.id, email: users.email }))
      const rows = await runWrite(() =>
        db
          .with(lockedUser, deleted, ...notices.ofErasure(deleted, userId))
          .select()
          .from(deleted),
      )
      return rows.length > 0
    },
  }
}
