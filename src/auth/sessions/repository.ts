import { and, asc, eq, exists, ne, type SQL, sql } from 'drizzle-orm'
import { addSeconds } from '../../db/clock.ts'
import type { Db } from '../../db/database.ts'
import { runRead, runWrite } from '../../db/errors.ts'
import { sessions } from '../../db/schema.ts'
import {
  createUserScope,
  isUsable,
  lockUser,
  type Principal,
  scopeParameters,
  TRUE,
} from '../../db/user-scope.ts'

/** The columns of `Session`. */
const sessionColumns = {
  id: sessions.id,
  kind: sessions.kind,
  name: sessions.name,
  scope: sessions.scope,
  user_agent: sessions.user_agent,
  created_at: sessions.created_at,
  expires_at: sessions.expires_at,
  last_seen_at: sessions.last_seen_at,
}

/**
 * Ends all sessions of a user except `keptId`, and returns how many.
 *
 * A statement sees the sessions from before it began, and misses one that started while it waited for the user's
 * lock. So a caller that ends all sessions calls this again after its own statement.
 */
export const endAllSessions = async (db: Db, userId: string, keptId?: string): Promise<number> => {
  const lockedUser = lockUser(db, userId)
  const others = and(
    eq(sessions.user_id, userId),
    keptId === undefined ? undefined : ne(sessions.id, keptId),
    exists(db.select().from(lockedUser)),
  )
  const deleted = db.with(lockedUser).delete(sessions).where(others)
  return (await runWrite(() => deleted.returning({ id: sessions.id }))).length
}

/** Whether the user had a live session that matches; undefined if the session of the principal has ended. */
export const endOwnSession = async (
  db: Db,
  principal: Principal,
  condition: SQL | undefined,
): Promise<boolean | undefined> => {
  const scope = scopeParameters(principal)
  const { sessionRow, lockedUser } = createUserScope(db, scope)
  const isOwn = and(eq(sessions.user_id, scope.user), condition, isUsable(scope.now))
  const isLocked = exists(db.select().from(lockedUser))
  const ended = db
    .$with('ended')
    .as(db.delete(sessions).where(and(isOwn, isLocked)).returning({ id: sessions.id }))
  const [row] = await runWrite(() =>
    db.with(sessionRow, lockedUser, ended).select().from(sessionRow).leftJoin(ended, TRUE),
  )
  return row && row.ended !== null
}

type Lifetime = { ttlSeconds: number; sessionMaxDays: number }

/**
 * The sessions of a principal. Each method is one statement that checks the session; `undefined` (or `false`) means
 * that it has ended.
 */
export const createSessionRepository = (db: Db) => (principal: Principal) => {
  const { userId, sessionId } = principal
  const scope = scopeParameters(principal)
  const { sessionRow, lockedUser } = createUserScope(db, scope)
  const isOwn = eq(sessions.user_id, userId)
  const isLocked = exists(db.select().from(lockedUser))

  return {
    /** For requests by access token or refresh token that were refused before any statement. */
    async isLive(): Promise<boolean> {
      const isCurrent = and(isOwn, eq(sessions.id, sessionId), isUsable(scope.now))
      const live = db.select({ id: sessions.id }).from(sessions).where(isCurrent)
      return (await runRead(() => live)).length > 0
    },

    /** Oldest first. */
    async list() {
      const rows = await runRead(() =>
        db
          .select(sessionColumns)
          .from(sessions)
          .where(and(isOwn, isUsable(scope.now)))
          .orderBy(asc(sessions.created_at), asc(sessions.id)),
      )
      const isLive = rows.some((row) => row.id === sessionId && row.expires_at > scope.now)
      return isLive ? rows.map((row) => ({ ...row, current: row.id === sessionId })) : undefined
    },

    /** Whether there was such a session. */
    end: (id: string) => endOwnSession(db, principal, eq(sessions.id, id)),

    /** Ends all sessions, including this one, and all personal tokens. */
    async endAll(): Promise<boolean> {
      const deleted = db.with(sessionRow, lockedUser).delete(sessions).where(and(isOwn, isLocked))
      const ended = await runWrite(() => deleted.returning({ id: sessions.id }))
      if (ended.length === 0) return false
      await endAllSessions(db, userId)
      return true
    },

    /** Extends this session by `ttlSeconds`, at most to `sessionMaxDays` after sign-in. Returns the new end. */
    async refresh({ ttlSeconds, sessionMaxDays }: Lifetime): Promise<string | undefined> {
      const age = sql`make_interval(secs => ${sessionMaxDays * 86_400})`
      // Without a time zone, the sum is an immutable expression, which Citus needs in an update.
      const limit = sql`(${sessions.created_at} at time zone 'UTC' + ${age}) at time zone 'UTC'`
      const expiresAt = addSeconds(scope.now, ttlSeconds)
      const updated = db
        .with(sessionRow, lockedUser)
        .update(sessions)
        .set({
          expires_at: sql`least(${expiresAt}::timestamptz, ${limit})`,
          last_seen_at: scope.now,
        })
        .where(and(isOwn, eq(sessions.id, sessionId), isLocked))
      const [row] = await runWrite(() => updated.returning({ expires_at: sessions.expires_at }))
      return row?.expires_at
    },
  }
}

export type SessionRepository = ReturnType<typeof createSessionRepository>
