import { lte } from 'drizzle-orm'
import type { Db } from '../db/client.ts'
import { writing } from '../db/faults.ts'
import { later, now } from '../db/now.ts'
import { idempotencyKeys, sessions, taskTombstones } from '../db/schema.ts'
import { eraseOld } from './trash-repository.ts'

/**
 * How much longer a tombstone lives than a changes token that needs it: instances' clocks
 * differ, and a token may be checked before the upkeep and used after it.
 */
const graceSeconds = 3600

/**
 * Removes what has had its time: tasks that were in the trash for `trashDays`, tombstones as
 * long after that, idempotency keys after 24 hours, sessions after their end. Any number of
 * instances may do it at once, as often as they like.
 */
export const upkeep = async (db: Db, trashDays: number) => {
  const at = now()
  const daysAgo = later(at, -trashDays * 86_400)
  const erased_tasks = await eraseOld(db, daysAgo)
  const unneeded = later(daysAgo, -graceSeconds)
  await writing(() => db.delete(taskTombstones).where(lte(taskTombstones.erased_at, unneeded)))
  await writing(() => db.delete(idempotencyKeys).where(lte(idempotencyKeys.expires_at, at)))
  await writing(() => db.delete(sessions).where(lte(sessions.expires_at, at)))
  return { erased_tasks }
}
