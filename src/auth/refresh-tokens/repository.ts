import { and, eq, exists, gt, sql } from 'drizzle-orm'
import { addSeconds, now } from '../../db/clock.ts'
import type { Db } from '../../db/database.ts'
import { runWrite } from '../../db/errors.ts'
import { sessions, users } from '../../db/schema.ts'
import { isUsable, lockUser, type Principal } from '../../db/user-scope.ts'
import type { NoticeStatements } from '../../mail/notices.ts'
import type { RefreshClaims } from './token.ts'

/** How long a token is still accepted after the first use of its successor: for tabs that refresh at once, and retries. */
const graceSeconds = 60

/** The ends of the session (RFC 3339), and the generation of the next refresh token. */
type Refreshed = { expires_at: string; refresh_expires_at: string; generation: number }
/**
 * A token that is two or more generations old indicates a copy. `hasEnded`: this ended the session. It continues if it
 * was refreshed within the last minute, because then a slow client is the likely cause.
 */
type Reused = { isReused: true; hasEnded: boolean }

type Settings = { ttlSeconds: number }

/** Refreshing and signing out by a refresh token. Each method is one statement. */
export const createRefreshTokenRepository = (
  db: Db,
  { ttlSeconds }: Settings,
  notices: NoticeStatements,
) => ({
  /**
   * Redeems a refresh token whose signature is verified. Undefined if the session has ended.
   *
   * With `newest` as the generation of the newest token: the newest is replaced by its successor; the one before
   * returns this successor again, until it was used; the one before that still does for `graceSeconds`. A token that is
   * newer than the database (which was restored from a backup) is treated as the newest.
   *
   * Each condition refers to the row itself. PostgreSQL evaluates them again after it waited for a concurrent refresh,
   * so that any number of concurrent refreshes have one successor.
   */
  async redeem(claims: RefreshClaims): Promise<Refreshed | Reused | undefined> {
    const { userId } = claims
    const at = now()
    const { lockedUser, updated } = redeemUpdate(db, claims, { at, ttlSeconds })
    const owner = db
      .$with('owner')
      .as(
        db
          .select({ id: users.id, email: users.email })
          .from(users)
          .innerJoin(updated, eq(updated.refresh_expires_at, at))
          .where(eq(users.id, userId)),
      )
    const noticed = notices.ofReusedToken(owner, userId)
    const ctes = [lockedUser, updated, ...(noticed.length > 0 ? [owner] : [])]
    const [row] = await runWrite(() =>
      db
        .with(...ctes, ...noticed)
        .select()
        .from(updated),
    )
    if (row?.refresh_expires_at == null) return undefined
    const { expires_at, refresh_expires_at, rotated_at } = row
    const age = row.newest - claims.generation
    return age === 1 || (age === 2 && rotated_at !== null && rotated_at > graceStartOf(at))
      ? { expires_at, refresh_expires_at, generation: claims.generation + 1 }
      : { isReused: true, hasEnded: refresh_expires_at === at }
  },

  /** Ends the session of a verified refresh token. Returns whether it was live. */
  async end({ userId, sessionId }: Principal): Promise<boolean> {
    const at = now()
    const lockedUser = lockUser(db, userId)
    const ended = db
      .with(lockedUser)
      .delete(sessions)
      .where(
        and(
          eq(sessions.user_id, userId),
          eq(sessions.id, sessionId),
          isUsable(at),
          exists(db.select().from(lockedUser)),
        ),
      )
    return (await runWrite(() => ended.returning({ id: sessions.id }))).length > 0
  },
})

export type RefreshTokenRepository = ReturnType<typeof createRefreshTokenRepository>

const graceStartOf = (at: string) => addSeconds(at, -graceSeconds)

type Redemption = { at: string; ttlSeconds: number }

const redeemUpdate = (
  db: Db,
  { userId, sessionId, generation }: RefreshClaims,
  { at, ttlSeconds }: Redemption,
) => {
  const newest = sessions.refresh_generation
  const time = sql`${at}::timestamptz`
  const graceStart = sql`${graceStartOf(at)}::timestamptz`
  const used = sql`${generation}::integer`
  const isAccepted = sql`(${used} >= ${newest} - 1 or ${used} = ${newest} - 2 and ${sessions.rotated_at} > ${graceStart})`
  const isStolen = sql`(not ${isAccepted} and ${sessions.refreshed_at} <= ${graceStart})`
  const extended = sql`least(${addSeconds(at, ttlSeconds)}::timestamptz, ${sessions.refresh_expires_at})`
  const lockedUser = lockUser(db, userId)
  const updating = db
    .update(sessions)
    .set({
      refresh_generation: sql`greatest(${newest}, ${used} + 1)`,
      rotated_at: sql`case when ${used} >= ${newest} then ${time} else ${sessions.rotated_at} end`,
      refreshed_at: sql`case when ${isAccepted} then ${time} else ${sessions.refreshed_at} end`,
      last_seen_at: sql`case when ${isAccepted} then ${time} else ${sessions.last_seen_at} end`,
      expires_at: sql`case when ${isAccepted} then ${extended} when ${isStolen} then ${time}
        else ${sessions.expires_at} end`,
      refresh_expires_at: sql`case when ${isStolen} then ${time} else ${sessions.refresh_expires_at} end`,
    })
    .where(
      and(
        eq(sessions.user_id, userId),
        eq(sessions.id, sessionId),
        gt(sessions.refresh_expires_at, at),
        exists(db.select().from(lockedUser)),
      ),
    )
    .returning({
      newest: sessions.refresh_generation,
      expires_at: sessions.expires_at,
      refresh_expires_at: sessions.refresh_expires_at,
      rotated_at: sessions.rotated_at,
    })
  return { lockedUser, updated: db.$with('updated').as(updating) }
}
