import { and, eq, exists, gt, type Placeholder, type SQL, sql } from 'drizzle-orm'
import type { Db } from './client.ts'
import { sessions, userChanges } from './schema.ts'

type Value = string | Placeholder
/** On whose behalf a statement runs, or the placeholders of it in a prepared one. */
export type UserScopeValues = { user: Value; session: Value; now: Value }

/** For statements that are prepared once and executed with a `Who` each time. */
export const placeholders = {
  user: sql.placeholder('user'),
  session: sql.placeholder('session'),
  now: sql.placeholder('now'),
}

/** Locks the user's row in `user_changes`, before anything else that a statement writes. */
export const lockUser = (db: Db, user: Value, where?: SQL) =>
  db.$with('locked_user').as(
    db
      .select({ user_id: userChanges.user_id })
      .from(userChanges)
      .where(and(eq(userChanges.user_id, user), where))
      .for('update'),
  )

/**
 * The parts that every statement on a user's behalf is made of.
 *
 * `live` is the caller's session, one row or none: a statement that ends in
 * `from live left join …` tells a dead session (no row) from a missing thing
 * (a row of nulls), without a statement of its own.
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

  /** Locks it too, and takes the number of the next change. */
  const nextChange = db.$with('next_change').as(
    db
      .update(userChanges)
      .set({ last: sql`${userChanges.last} + 1` })
      .where(and(eq(userChanges.user_id, scope.user), isLive))
      .returning({ user_id: userChanges.user_id, change: userChanges.last }),
  )

  return { sessionRow, lockedUser, nextChange }
}

export const TRUE: SQL = sql`true`
