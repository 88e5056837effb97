import { and, asc, eq, exists, getTableColumns, gt, ne, type SQL, sql } from 'drizzle-orm'
import type { Db } from '../db/client.ts'
import { reading, writing } from '../db/faults.ts'
import { always, lockOf, partsOf } from '../db/live.ts'
import { later } from '../db/now.ts'
import { sessions } from '../db/schema.ts'
import { type Caller, whoOf } from './caller.ts'

const { user_id: _owner, ...shown } = getTableColumns(sessions)

/**
 * Ends the user's sessions but `kept`, whoever asks, and tells how many there were.
 *
 * A statement sees the sessions that were there when it began: one that was started while it
 * waited for the user's lock is left. Whoever ends all of them asks a second time, when
 * everybody who was before him in the queue is done.
 */
export const endSessionsOf = async (db: Db, userId: string, kept?: string): Promise<number> => {
  const locked = lockOf(db, userId)
  const theirs = and(
    eq(sessions.user_id, userId),
    kept === undefined ? undefined : ne(sessions.id, kept),
    exists(db.select().from(locked)),
  )
  const ending = db.with(locked).delete(sessions).where(theirs)
  return (await writing(() => ending.returning({ id: sessions.id }))).length
}

/** Whether there was such a session of the caller's own to end; nothing where the caller's has ended. */
export const endOne = async (
  db: Db,
  caller: Caller,
  which: SQL | undefined,
): Promise<boolean | undefined> => {
  const who = whoOf(caller)
  const { live, locked } = partsOf(db, who)
  const mine = and(eq(sessions.user_id, who.user), which, gt(sessions.expires_at, who.now))
  const isLocked = exists(db.select().from(locked))
  const ended = db
    .$with('ended')
    .as(db.delete(sessions).where(and(mine, isLocked)).returning({ id: sessions.id }))
  const [found] = await writing(() =>
    db.with(live, locked, ended).select().from(live).leftJoin(ended, always),
  )
  return found && found.ended !== null
}

/** The sessions of one caller, by the same rule. */
export const sessionsOf = (db: Db, caller: Caller) => {
  const { userId, sessionId } = caller
  const who = whoOf(caller)
  const at = who.now
  const { live, locked } = partsOf(db, who)
  const mine = eq(sessions.user_id, userId)
  const isLocked = exists(db.select().from(locked))

  return {
    /** Oldest first. */
    async list() {
      const rows = await reading(() =>
        db
          .select(shown)
          .from(sessions)
          .where(and(mine, gt(sessions.expires_at, at)))
          .orderBy(asc(sessions.created_at), asc(sessions.id)),
      )
      const marked = rows.map((row) => ({ ...row, current: row.id === sessionId }))
      return marked.some(({ current }) => current) ? marked : undefined
    },

    /** Whether there was such a session to end. */
    end: (id: string) => endOne(db, caller, eq(sessions.id, id)),

    /** All of them, this one and personal ones too. */
    async endAll(): Promise<boolean> {
      const ended = await writing(() =>
        db
          .with(live, locked)
          .delete(sessions)
          .where(and(mine, isLocked))
          .returning({ id: sessions.id }),
      )
      if (ended.length === 0) return false
      await endSessionsOf(db, userId)
      return true
    },

    /** Moves this session's end along, to `dayMax` days after sign-in at most. */
    async refresh(ttlSeconds: number, dayMax: number): Promise<string | undefined> {
      const limit = sql`${sessions.created_at} + make_interval(secs => ${dayMax * 86_400})`
      const [refreshed] = await writing(() =>
        db
          .with(live, locked)
          .update(sessions)
          .set({
            expires_at: sql`least(${later(at, ttlSeconds)}::timestamptz, ${limit})`,
            last_seen_at: at,
          })
          .where(and(mine, eq(sessions.id, sessionId), isLocked))
          .returning({ expires_at: sessions.expires_at }),
      )
      return refreshed?.expires_at
    },
  }
}
