import { and, eq, isNotNull, lte, type SQL, sql } from 'drizzle-orm'
import type { Db } from '../../db/client.ts'
import { now } from '../../db/clock.ts'
import { runWrite } from '../../db/faults.ts'
import { prepareStatement } from '../../db/prepared-statement.ts'
import { tasks, taskTombstones, userChanges } from '../../db/schema.ts'
import {
  createUserScope,
  type Principal,
  placeholders,
  scopeParameters,
  TRUE,
} from '../../db/user-scope.ts'
import { normalizeId } from '../../schema/types.ts'
import { byId, isTrashedTask, trashedTasks } from '../task/sql.ts'

/**
 * The parts that erase what a condition finds in the trash. They leave tombstones with the
 * numbers that the deletions had: a copy that has seen a deletion learns nothing new from
 * the erasure, and one that has not will find it.
 */
const eraseFromTrash = (db: Db, where: SQL | undefined, erasedAt: SQL) => {
  const columns = {
    user_id: tasks.user_id,
    id: tasks.id,
    deleted_at: tasks.deleted_at,
    change: tasks.change,
  }
  const erasedTasks = db.$with('gone').as(db.delete(tasks).where(where).returning(columns))
  const tombstones = db
    .select({
      user_id: erasedTasks.user_id,
      id: erasedTasks.id,
      deleted_at: erasedTasks.deleted_at,
      erased_at: erasedAt.as('erased_at'),
      change: erasedTasks.change,
    })
    .from(erasedTasks)
  const insertedTombstones = db
    .$with('buried')
    .as(db.insert(taskTombstones).select(tombstones).returning({ id: taskTombstones.id }))
  const erased = db
    .$with('erased')
    .as(db.select({ count: sql<number>`count(*)::int`.as('count') }).from(erasedTasks))
  return { erasedTasks, insertedTombstones, erased }
}

/** The trash of whoever asks. */
export const createTrashRepository = (db: Db) => {
  const { sessionRow, lockedUser } = createUserScope(db, placeholders)
  const statement = (where: SQL | undefined) => {
    const guarded = and(where, sql`exists (select from ${lockedUser})`)
    const { erasedTasks, insertedTombstones, erased } = eraseFromTrash(
      db,
      guarded,
      sql`${sql.placeholder('now')}::timestamptz`,
    )
    return db
      .with(sessionRow, lockedUser, erasedTasks, insertedTombstones, erased)
      .select()
      .from(sessionRow)
      .leftJoin(erased, TRUE)
  }
  const erase = prepareStatement(db, statement(and(isTrashedTask, byId)))
  const empty = prepareStatement(db, statement(trashedTasks))

  return (principal: Principal) => {
    const parametersOf = () => scopeParameters(principal)
    return {
      /** How many there were: one or none. Nothing where the session has ended. */
      async erase(id: string): Promise<number | undefined> {
        const [found] = await runWrite(() =>
          erase.execute({ ...parametersOf(), id: normalizeId(id) }),
        )
        return found && (found.erased?.count ?? 0)
      },

      /** How many there were. */
      async empty(): Promise<number | undefined> {
        const [found] = await runWrite(() => empty.execute(parametersOf()))
        return found && (found.erased?.count ?? 0)
      },
    }
  }
}

export type TrashRepository = ReturnType<typeof createTrashRepository>

/** How many rows one statement of the upkeep erases: it is to end well within its deadline. */
const batchRowsMax = 5000

/**
 * Erases what was deleted before an instant, a user at a time, and tells how many rows that
 * were. Any number of instances may run it at once: a user whom another one is busy with, or
 * who writes just now, is skipped until the next time.
 */
export const purgeTrash = async (
  db: Db,
  before: string,
  rowsMax = batchRowsMax,
): Promise<number> => {
  const isOld = and(isNotNull(tasks.deleted_at), lte(tasks.deleted_at, before))
  const owners = await runWrite(() =>
    db.selectDistinct({ user_id: tasks.user_id }).from(tasks).where(isOld),
  )
  let total = 0
  for (const { user_id } of owners) {
    const lockedUser = db
      .$with('locked_user')
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
      sql`exists (select from ${lockedUser})`,
    )
    const { erasedTasks, insertedTombstones, erased } = eraseFromTrash(
      db,
      where,
      sql`${now()}::timestamptz`,
    )
    let count = 0
    do {
      const [found] = await runWrite(() =>
        db.with(lockedUser, erasedTasks, insertedTombstones, erased).select().from(erased),
      )
      count = found?.count ?? 0
      total += count
    } while (count === rowsMax)
  }
  return total
}
