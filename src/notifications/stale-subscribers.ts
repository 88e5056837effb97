import { and, eq, gt, sql } from 'drizzle-orm'
import { now } from '../db/clock.ts'
import type { Db } from '../db/database.ts'
import { runRead } from '../db/errors.ts'
import { arrayLiteral } from '../db/params.ts'
import { sessions, userChanges } from '../db/schema.ts'
import type { Subscriber } from './notifications.ts'

/** Sessions per statement. */
const rowsMax = 1000

/** Returns the function that finds the subscribers that have missed a change or the end of their session. */
export const createStaleSubscriberQuery =
  (db: Db) =>
  async (subscribers: readonly Subscriber[]): Promise<Subscriber[]> => {
    const stale: Subscriber[] = []
    for (let at = 0; at < subscribers.length; at += rowsMax) {
      const some = subscribers.slice(at, at + rowsMax)
      const lastChanges = await readLastChanges(db, some)
      stale.push(
        ...some.filter((one) => {
          const last = lastChanges.get(one.sessionId)
          return last === undefined || last > one.seen()
        }),
      )
    }
    return stale
  }

/** The number of the last change of each user whose session is live, by session. One statement for many users. */
const readLastChanges = async (db: Db, subscribers: readonly Subscriber[]) => {
  const users = [...new Set(subscribers.map(({ userId }) => userId))]
  const ids = [...new Set(subscribers.map(({ sessionId }) => sessionId))]
  const rows = await runRead(() =>
    db
      .select({ session: sessions.id, last: userChanges.last })
      .from(sessions)
      .innerJoin(userChanges, eq(userChanges.user_id, sessions.user_id))
      .where(
        and(
          sql`${sessions.user_id} = any(${arrayLiteral(users)}::uuid[])`,
          sql`${sessions.id} = any(${arrayLiteral(ids)}::uuid[])`,
          gt(sessions.expires_at, now()),
        ),
      ),
  )
  return new Map(rows.map(({ session, last }) => [session, last]))
}
