import { and, eq, exists, gt, type Placeholder, type SQL, sql } from 'drizzle-orm'
import type { Db } from './client.ts'
import { sessions, userChanges } from './schema.ts'

type Value = string | Placeholder
/** On whose behalf a statement runs, or the placeholders of it in a prepared one. */
export type Who = { user: Value; session: Value; now: Value }

/** For statements that are prepared once and executed with a `Who` each time. */
export const anyone = {
  user: sql.placeholder('user'),
  session: sql.placeholder('session'),
  now: sql.placeholder('now'),
}

/** Locks the user's row in `user_changes`, before anything else that a statement writes. */
export const lockOf = (db: Db, user: Value, where?: SQL) =>
  db.$with('locked').as(
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
export const partsOf = (db: Db, who: Who) => {
  const live = db.$with('live').as(
    db
      .select({ session_id: sessions.id })
      .from(sessions)
      .where(
        and(
          eq(sessions.user_id, who.user),
          eq(sessions.id, who.session),
          gt(sessions.expires_at, who.now),
        ),
      ),
  )
  const isLive = exists(db.select().from(live))
  const locked = lockOf(db, who.user, isLive)

  /** Locks it too, and takes the number of the next change. */
  const numbered = db.$with('numbered').as(
    db
      .update(userChanges)
      .set({ last: sql`${userChanges.last} + 1` })
      .where(and(eq(userChanges.user_id, who.user), isLive))
      .returning({ user_id: userChanges.user_id, change: userChanges.last }),
  )

  return { live, locked, numbered }
}

export const always: SQL = sql`true`
