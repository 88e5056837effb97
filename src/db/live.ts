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
  const counterOfLive = and(eq(userChanges.user_id, who.user), exists(db.select().from(live)))

  /** Locks the user's row in `user_changes`, before anything else that a statement writes. */
  const locked = db
    .$with('locked')
    .as(
      db
        .select({ user_id: userChanges.user_id })
        .from(userChanges)
        .where(counterOfLive)
        .for('update'),
    )

  /** The same, and takes the number of the next change. */
  const numbered = db.$with('numbered').as(
    db
      .update(userChanges)
      .set({ last: sql`${userChanges.last} + 1` })
      .where(counterOfLive)
      .returning({ user_id: userChanges.user_id, change: userChanges.last }),
  )

  return { live, locked, numbered }
}

export const always: SQL = sql`true`
