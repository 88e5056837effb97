import { lte, type SQL, sql } from 'drizzle-orm'
import type { PgTable } from 'drizzle-orm/pg-core'
import { deleteRows } from '../db/batches.ts'
import { addSeconds, now } from '../db/clock.ts'
import type { Db } from '../db/database.ts'
import { runRead } from '../db/errors.ts'
import {
  idempotencyKeys,
  listTombstones,
  mailLinks,
  reminderEvents,
  sessions,
  tasks,
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
  const erased_tasks = await purgeTrash(db, addSeconds(at, -trashDays * 86_400))
  for (const [table, isExpired] of expiredAt(at, trashDays)) await deleteRows(db, table, isExpired)
  return { erased_tasks }
}

/** The tables with rows that expire, except the trash. */
const expiredAt = (at: string, trashDays: number): [PgTable, SQL | undefined][] => {
  const unneeded = addSeconds(at, -trashDays * 86_400 - graceSeconds)
  const longExpired = addSeconds(at, -linkGraceSeconds)
  return [
    [taskTombstones, lte(taskTombstones.erased_at, unneeded)],
    [listTombstones, lte(listTombstones.deleted_at, unneeded)],
    [reminderEvents, lte(reminderEvents.delivered_at, unneeded)],
    [idempotencyKeys, lte(idempotencyKeys.expires_at, at)],
    [mailLinks, lte(mailLinks.expires_at, longExpired)],
    [usedStreamTickets, lte(usedStreamTickets.expires_at, at)],
    [sessions, hasExpired(at)],
  ]
}

/** How many rows `purgeExpired` would delete. At most `max` are counted in each table. */
export const countExpired = async (db: Db, trashDays: number, max: number): Promise<number> => {
  const at = now()
  const isOldTrash = lte(tasks.deleted_at, addSeconds(at, -trashDays * 86_400))
  let total = 0
  for (const [table, isExpired] of [...expiredAt(at, trashDays), [tasks, isOldTrash] as const]) {
    const some = db
      .select({ one: sql`1`.as('one') })
      .from(table)
      .where(isExpired)
      .limit(max)
    const counting = db.select({ count: sql<number>`count(*)::int` }).from(some.as('some'))
    total += (await runRead(() => counting))[0]?.count ?? 0
  }
  return total
}
