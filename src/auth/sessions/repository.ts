import { and, asc, eq, exists, getTableColumns, gt, ne, type SQL, sql } from 'drizzle-orm'
import type { Db } from '../../db/client.ts'
import { addSeconds } from '../../db/clock.ts'
import { runRead, runWrite } from '../../db/faults.ts'
import { sessions } from '../../db/schema.ts'
import {
  createUserScope,
  lockUser,
  type Principal,
  scopeParameters,
  TRUE,
} from '../../db/user-scope.ts'

const { user_id: _owner, ...sessionColumns } = getTableColumns(sessions)

/**
 * Ends the user's sessions but `kept`, whoever asks, and tells how many there were.
 *
 * A statement sees the sessions that were there when it began: one that was started while it
 * waited for the user's lock is left. Whoever ends all of them asks a second time, when
 * everybody who was before him in the queue is done.
 */
export const endAllSessions = async (db: Db, userId: string, kept?: string): Promise<number> => {
  const lockedUser = lockUser(db, userId)
  const theirs = and(
    eq(sessions.user_id, userId),
    kept === undefined ? undefined : ne(sessions.id, kept),
    exists(db.select().from(lockedUser)),
  )
  const ending = db.with(lockedUser).delete(sessions).where(theirs)
  return (await runWrite(() => ending.returning({ id: sessions.id }))).length
}

/** Whether there was such a session of the caller's own to end; nothing where the caller's has ended. */
export const endOwnSession = async (
  db: Db,
  principal: Principal,
  which: SQL | undefined,
): Promise<boolean | undefined> => {
  const scope = scopeParameters(principal)
  const { sessionRow, lockedUser } = createUserScope(db, scope)
  const mine = and(eq(sessions.user_id, scope.user), which, gt(sessions.expires_at, scope.now))
  const isLocked = exists(db.select().from(lockedUser))
  const ended = db
    .$with('ended')
    .as(db.delete(sessions).where(and(mine, isLocked)).returning({ id: sessions.id }))
  const [found] = await runWrite(() =>
    db.with(sessionRow, lockedUser, ended).select().from(sessionRow).leftJoin(ended, TRUE),
  )
  return found && found.ended !== null
}

/** The sessions of one caller, by the same rule. */
export const createSessionRepository = (db: Db, principal: Principal) => {
  const { userId, sessionId } = principal
  const scope = scopeParameters(principal)
  const at = scope.now
  const { sessionRow, lockedUser } = createUserScope(db, scope)
  const mine = eq(sessions.user_id, userId)
  const isLocked = exists(db.select().from(lockedUser))

  return {
    /** Oldest first. */
    async list() {
      const rows = await runRead(() =>
        db
          .select(sessionColumns)
          .from(sessions)
          .where(and(mine, gt(sessions.expires_at, at)))
          .orderBy(asc(sessions.created_at), asc(sessions.id)),
      )
      const marked = rows.map((row) => ({ ...row, current: row.id === sessionId }))
      return marked.some(({ current }) => current) ? marked : undefined
    },

    /** Whether there was such a session to end. */
    end: (id: string) => endOwnSession(db, principal, eq(sessions.id, id)),

    /** All of them, this one and personal ones too. */
    async endAll(): Promise<boolean> {
      const ended = await runWrite(() =>
        db
          .with(sessionRow, lockedUser)
          .delete(sessions)
          .where(and(mine, isLocked))
          .returning({ id: sessions.id }),
      )
      if (ended.length === 0) return false
      await endAllSessions(db, userId)
      return true
    },

    /** Moves this session's end along, to `dayMax` days after sign-in at most. */
    async refresh(ttlSeconds: number, dayMax: number): Promise<string | undefined> {
      const limit = sql`${sessions.created_at} + make_interval(secs => ${dayMax * 86_400})`
      const [refreshed] = await runWrite(() =>
        db
          .with(sessionRow, lockedUser)
          .update(sessions)
          .set({
            expires_at: sql`least(${addSeconds(at, ttlSeconds)}::timestamptz, ${limit})`,
            last_seen_at: at,
          })
          .where(and(mine, eq(sessions.id, sessionId), isLocked))
          .returning({ expires_at: sessions.expires_at }),
      )
      return refreshed?.expires_at
    },
  }
}
