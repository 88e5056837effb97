import { and, eq, lt } from 'drizzle-orm'
import type { Db } from '../../db/database.ts'
import { runWrite } from '../../db/errors.ts'
import { sessions } from '../../db/schema.ts'
import type { Principal } from '../../db/user-scope.ts'
import type { Log } from '../../log.ts'

/** How often the times are stored. With the time that storing takes, `last_seen_at` is at most two minutes old. */
export const activityFlushMs = 60_000
/** Sessions per flush, which then takes about ten seconds. Further ones keep their previous time. */
const sessionsMax = 20_000

type Needs = { db: Db; log: Log }
type Use = { userId: string; atMs: number }

/**
 * Remembers when sessions were used, and stores the times later: a request that reads does not write for it.
 *
 * One short statement per session and minute, for one user each: a single one for all would lock rows of many users, and
 * would not run on one node of a distributed database.
 */
export const createSessionActivity = ({ db, log }: Needs) => {
  let uses = new Map<string, Use>()

  const store = async (sessionId: string, { userId, atMs }: Use) => {
    const last_seen_at = new Date(atMs).toISOString()
    // Another instance may have stored a later time.
    const isEarlier = lt(sessions.last_seen_at, last_seen_at)
    const isSession = and(eq(sessions.user_id, userId), eq(sessions.id, sessionId))
    await runWrite(() => db.update(sessions).set({ last_seen_at }).where(and(isSession, isEarlier)))
  }

  return {
    record: ({ userId, sessionId }: Principal): void => {
      const use = uses.get(sessionId)
      if (use !== undefined) use.atMs = Date.now()
      else if (uses.size < sessionsMax) uses.set(sessionId, { userId, atMs: Date.now() })
    },

    /** Stores the times since the last flush. If the database fails, the rest is stored by the next flush. */
    flush: async (): Promise<void> => {
      const pending = uses
      uses = new Map()
      try {
        for (const [sessionId, use] of pending) {
          await store(sessionId, use)
          pending.delete(sessionId)
        }
      } catch (error) {
        for (const [sessionId, use] of pending) if (!uses.has(sessionId)) uses.set(sessionId, use)
        log.warn('session activity was not stored', { error })
      }
    },
  }
}

export type SessionActivity = ReturnType<typeof createSessionActivity>
