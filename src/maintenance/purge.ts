import { lte } from 'drizzle-orm'
import { deleteRows } from '../db/batches.ts'
import { addSeconds, now } from '../db/clock.ts'
import type { Db } from '../db/database.ts'
import {
  idempotencyKeys,
  listTombstones,
  mailLinks,
  reminderEvents,
  sessions,
  taskTombstones,
  usedStreamTickets,
} from '../db/schema.ts'
import { hasExpired } from '../db/user-scope.ts'
import { purgeTrash } from '../tasks/trash/repository.ts'

/**
 * How much longer a tombstone is kept than a changes token that needs it: the clocks of instances differ, and a token may
 * be checked before the purge and used after it.
 */
const graceSeconds = 3600
/** A used or replaced link is kept longer than a message that could renew it (`mail/delivery.ts`). */
const linkGraceSeconds = 2 * 86_400

/**
 * Deletes expired rows: tasks after `trashDays` in the trash, tombstones and delivered reminders after the same time,
 * idempotency keys after 24 hours, mailed links, used stream tickets, and ended sessions. Any number of instances may run it
 * at once.
 */
export const purgeExpired = async (db: Db, trashDays: number) => {
  const at = now()
  const daysAgo = addSeconds(at, -trashDays * 86_400)
  const erased_tasks = await purgeTrash(db, daysAgo)
  const unneeded = addSeconds(daysAgo, -graceSeconds)
  const longExpired = addSeconds(at, -linkGraceSeconds)
  await deleteRows(db, taskTombstones, lte(taskTombstones.erased_at, unneeded))
  await deleteRows(db, listTombstones, lte(listTombstones.deleted_at, unneeded))
  await deleteRows(db, reminderEvents, lte(reminderEvents.delivered_at, unneeded))
  await deleteRows(db, idempotencyKeys, lte(idempotencyKeys.expires_at, at))
  await deleteRows(db, mailLinks, lte(mailLinks.expires_at, longExpired))
  await deleteRows(db, usedStreamTickets, lte(usedStreamTickets.expires_at, at))
  await deleteRows(db, sessions, hasExpired(at))
  return { erased_tasks }
}
