import { and, eq, isNotNull, lte, type SQL, sql } from 'drizzle-orm'
import { type Caller, whoOf } from '../auth/caller.ts'
import type { Db } from '../db/client.ts'
import { writing } from '../db/faults.ts'
import { always, anyone, partsOf } from '../db/live.ts'
import { now } from '../db/now.ts'
import { prepared } from '../db/prepared.ts'
import { tasks, taskTombstones, userChanges } from '../db/schema.ts'
import { idOf } from '../shapes.ts'
import { byId, mineInTrash, mineTrashed } from './statements.ts'

/**
 * The parts that erase what a condition finds in the trash. They leave tombstones with the
 * numbers that the deletions had: a copy that has seen a deletion learns nothing new from
 * the erasure, and one that has not will find it.
 */
const erasing = (db: Db, where: SQL | undefined, erasedAt: SQL) => {
  const columns = {
    user_id: tasks.user_id,
    id: tasks.id,
    deleted_at: tasks.deleted_at,
    change: tasks.change,
  }
  const gone = db.$with('gone').as(db.delete(tasks).where(where).returning(columns))
  const tombstones = db
    .select({
      user_id: gone.user_id,
      id: gone.id,
      deleted_at: gone.deleted_at,
      erased_at: erasedAt.as('erased_at'),
      change: gone.change,
    })
    .from(gone)
  const buried = db
    .$with('buried')
    .as(db.insert(taskTombstones).select(tombstones).returning({ id: taskTombstones.id }))
  const erased = db
    .$with('erased')
    .as(db.select({ count: sql<number>`count(*)::int`.as('count') }).from(gone))
  return { gone, buried, erased }
}

/** The trash of whoever asks. */
export const trashRepository = (db: Db) => {
  const { live, locked } = partsOf(db, anyone)
  const statement = (where: SQL | undefined) => {
    const guarded = and(where, sql`exists (select from ${locked})`)
    const { gone, buried, erased } = erasing(
      db,
      guarded,
      sql`${sql.placeholder('now')}::timestamptz`,
    )
    return db.with(live, locked, gone, buried, erased).select().from(live).leftJoin(erased, always)
  }
  const erase = prepared(db, statement(and(mineTrashed, byId)))
  const empty = prepared(db, statement(mineInTrash))

  return (caller: Caller) => {
    const bound = () => whoOf(caller)
    return {
      /** How many there were: one or none. Nothing where the session has ended. */
      async erase(id: string): Promise<number | undefined> {
        const [found] = await writing(() => erase.execute({ ...bound(), id: idOf(id) }))
        return found && (found.erased?.count ?? 0)
      },

      /** How many there were. */
      async empty(): Promise<number | undefined> {
        const [found] = await writing(() => empty.execute(bound()))
        return found && (found.erased?.count ?? 0)
      },
    }
  }
}

export type TrashOf = ReturnType<typeof trashRepository>

/** How many rows one statement of the upkeep erases: it is to end well within its deadline. */
const erasedMax = 5000

/**
 * Erases what was deleted before an instant, a user at a time, and tells how many rows that
 * were. Any number of instances may run it at once: a user whom another one is busy with, or
 * who writes just now, is skipped until the next time.
 */
export const eraseOld = async (db: Db, before: string, rowsMax = erasedMax): Promise<number> => {
  const isOld = and(isNotNull(tasks.deleted_at), lte(tasks.deleted_at, before))
  const owners = await writing(() =>
    db.selectDistinct({ user_id: tasks.user_id }).from(tasks).where(isOld),
  )
  let total = 0
  for (const { user_id } of owners) {
    const locked = db
      .$with('locked')
      .as(
        db
          .select({ user_id: userChanges.user_id })
          .from(userChanges)
          .where(eq(userChanges.user_id, user_id))
          .for('update', { skipLocked: true }),
      )
    const some = db
      .select({ id: tasks.id })
      .from(tasks)
      .where(and(eq(tasks.user_id, user_id), isOld))
      .limit(rowsMax)
    const where = and(
      eq(tasks.user_id, user_id),
      sql`${tasks.id} in ${some}`,
      // Said again of the row itself: one that was restored meanwhile is seen anew, the list of ids is not.
      isOld,
      sql`exists (select from ${locked})`,
    )
    const { gone, buried, erased } = erasing(db, where, sql`${now()}::timestamptz`)
    let count = 0
    do {
      const [found] = await writing(() =>
        db.with(locked, gone, buried, erased).select().from(erased),
      )
      count = found?.count ?? 0
      total += count
    } while (count === rowsMax)
  }
  return total
}
