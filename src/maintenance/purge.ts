import { lte } from 'drizzle-orm'
import type { Db } from '../db/client.ts'
import { addSeconds, now } from '../db/clock.ts'
import { runWrite } from '../db/faults.ts'
import { idempotencyKeys, sessions, taskTombstones } from '../db/schema.ts'
import { purgeTrash } from '../tasks/trash/repository.ts'

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
export const purgeExpired = async (db: Db, trashDays: number) => {
  const at = now()
  const daysAgo = addSeconds(at, -trashDays * 86_400)
  const erased_tasks = await purgeTrash(db, daysAgo)
  const unneeded = addSeconds(daysAgo, -graceSeconds)
  await runWrite(() => db.delete(taskTombstones).where(lte(taskTombstones.erased_at, unneeded)))
  await runWrite(() => db.delete(idempotencyKeys).where(lte(idempotencyKeys.expires_at, at)))
  await runWrite(() => db.delete(sessions).where(lte(sessions.expires_at, at)))
  return { erased_tasks }
}
