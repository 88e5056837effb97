import { and, eq, exists, gt, or, type Placeholder, type SQL, sql } from 'drizzle-orm'
import { now } from './clock.ts'
import type { Db } from './database.ts'
import { endOf, sessions, userChanges } from './schema.ts'

/** The user and the session that a verified token names. The next SQL statement checks the session. */
export type Principal = { userId: string; sessionId: string }

type Value = string | Placeholder
/** The values that bind a statement to a principal, or their placeholders in a prepared statement. */
export type UserScopeValues = { user: Value; session: Value; now: Value }

/** The values of the placeholders for one principal, at this moment. */
export const scopeParameters = ({ userId, sessionId }: Principal) => ({
  user: userId,
  session: sessionId,
  now: now(),
})

/** For prepared statements; executed with `scopeParameters`. */
export const placeholders = {
  user: sql.placeholder('user'),
  session: sql.placeholder('session'),
  now: sql.placeholder('now'),
}

/** Sessions that an access token or a refresh token can still use at a time. */
export const isUsable = (at: Value) =>
  or(gt(sessions.expires_at, at), gt(sessions.refresh_expires_at, at))

/** The opposite of `isUsable`: these rows are deleted. */
export const hasExpired = (at: Value) => sql`${endOf(sessions)} <= ${at}::timestamptz`

/** Locks the user's row in `user_changes`. Every statement that writes rows of a user does this first. */
export const lockUser = (db: Db, user: Value, where?: SQL) =>
  db.$with('locked_user').as(
    db
      .select({ user_id: userChanges.user_id })
      .from(userChanges)
      .where(and(eq(userChanges.user_id, user), where))
      .for('update'),
  )

/** Locks the user's row too, and takes the number of the next change. */
export const takeNextChange = (db: Db, user: Value, where?: SQL) =>
  db.$with('next_change').as(
    db
      .update(userChanges)
      .set({ last: sql`${userChanges.last} + 1` })
      .where(and(eq(userChanges.user_id, user), where))
      .returning({ user_id: userChanges.user_id, change: userChanges.last }),
  )

type NextChange = ReturnType<typeof takeNextChange>

/**
 * The number of the change, for a CTE that locks rows, and the condition that there is one. As a join instead, a statement that
 * also inserts fails on Citus (`for update of` and another CTE). The condition is evaluated before the first row is locked.
 */
export const changeOf = (nextChange: NextChange) =>
  sql<number>`(select ${nextChange.change} from ${nextChange})`.as('next_number')
export const isStarted = (nextChange: NextChange): SQL => sql`exists (select from ${nextChange})`

/**
 * The CTEs that every user-scoped statement consists of.
 *
 * `sessionRow` has one row while the session is live. A statement that ends in `from session_row left join …`
 * distinguishes an ended session (no row) from an absent object (a row of nulls) without a second statement.
 */
export const createUserScope = (db: Db, scope: UserScopeValues) => {
  const sessionRow = db.$with('session_row').as(
    db
      .select({ session_id: sessions.id })
      .from(sessions)
      .where(
        and(
          eq(sessions.user_id, scope.user),
          eq(sessions.id, scope.session),
          gt(sessions.expires_at, scope.now),
        ),
      ),
  )
  const isLive = exists(db.select().from(sessionRow))
  const lockedUser = lockUser(db, scope.user, isLive)

  return { sessionRow, lockedUser, nextChange: takeNextChange(db, scope.user, isLive) }
}

export const TRUE: SQL = sql`true`
