import { and, asc, desc, eq, isNotNull, lte, notInArray, type SQL, sql } from 'drizzle-orm'
import { inBatches } from '../../db/batches.ts'
import { now } from '../../db/clock.ts'
import type { Db } from '../../db/database.ts'
import { runRead, runWrite } from '../../db/errors.ts'
import { nowParam, param } from '../../db/params.ts'
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
import { byId, isTrashedTask, taskColumns, toTask, trashedTasks } from '../task/sql.ts'
import type { TrashedTask } from './schema.ts'

const lastId = 'ffffffff-ffff-ffff-ffff-ffffffffffff'

const listStatement = (db: Db) => {
  const position = sql`(${param('key', 'timestamptz')}, ${param('last', 'uuid')})`
  const task = db
    .select({
      ...taskColumns,
      deleted_at: sql<string>`${tasks.deleted_at}`.mapWith(tasks.deleted_at).as('deleted_at'),
    })
    .from(tasks)
    .where(and(trashedTasks, sql`(${tasks.deleted_at}, ${tasks.id}) < ${position}`))
    .orderBy(desc(tasks.deleted_at), desc(tasks.id))
    .limit(sql.placeholder('rows'))
    .as('task')
  const { sessionRow } = createUserScope(db, placeholders)
  return db.with(sessionRow).select().from(sessionRow).leftJoinLateral(task, TRUE)
}

/**
 * The CTEs that erase tasks and insert their tombstones. A tombstone keeps the change number of the deletion: a client
 * that has received the deletion gets no further change, and another client still gets it.
 */
const eraseFromTrash = (db: Db, where: SQL | undefined, erasedAt: SQL) => {
  const columns = {
    user_id: tasks.user_id,
    id: tasks.id,
    deleted_at: tasks.deleted_at,
    change: tasks.change,
  }
  const erasedTasks = db.$with('erased_tasks').as(db.delete(tasks).where(where).returning(columns))
  const tombstoneRows = db
    .select({
      user_id: erasedTasks.user_id,
      id: erasedTasks.id,
      deleted_at: erasedTasks.deleted_at,
      erased_at: erasedAt.as('erased_at'),
      change: erasedTasks.change,
    })
    .from(erasedTasks)
  const tombstones = db
    .$with('tombstones')
    .as(db.insert(taskTombstones).select(tombstoneRows).returning({ id: taskTombstones.id }))
  const erased = db
    .$with('erased')
    .as(db.select({ count: sql<number>`count(*)::int`.as('count') }).from(erasedTasks))
  return { erasedTasks, tombstones, erased }
}

/** The trash of a principal; each method returns undefined if the session has ended. */
export const createTrashRepository = (db: Db) => {
  const eraseStatement = (where: SQL | undefined) => {
    const { sessionRow, lockedUser } = createUserScope(db, placeholders)
    const guarded = and(where, sql`exists (select from ${lockedUser})`)
    const { erasedTasks, tombstones, erased } = eraseFromTrash(db, guarded, nowParam)
    return db
      .with(sessionRow, lockedUser, erasedTasks, tombstones, erased)
      .select()
      .from(sessionRow)
      .leftJoin(erased, TRUE)
  }
  const list = prepareStatement(db, () => listStatement(db), { isQuickRead: true })
  const erase = prepareStatement(db, () => eraseStatement(and(isTrashedTask, byId)))
  const empty = prepareStatement(db, () => eraseStatement(trashedTasks))

  return (principal: Principal) => {
    const scope = () => scopeParameters(principal)
    return {
      /** Newest deletion first. */
      async page(
        rows: number,
        [key = 'infinity', last = lastId]: readonly string[] = [],
      ): Promise<TrashedTask[] | undefined> {
        const found = await runRead(() => list.execute({ ...scope(), rows, key, last }))
        return found.length === 0
          ? undefined
          : found.flatMap(({ task }) => (task ? toTask(task) : []))
      },

      /** Returns how many tasks were erased: one or none. */
      async erase(id: string): Promise<number | undefined> {
        const [row] = await runWrite(() => erase.execute({ ...scope(), id: normalizeId(id) }))
        return row && (row.erased?.count ?? 0)
      },

      /** Returns how many tasks were erased. */
      async empty(): Promise<number | undefined> {
        const [row] = await runWrite(() => empty.execute(scope()))
        return row && (row.erased?.count ?? 0)
      },
    }
  }
}

export type TrashRepository = ReturnType<typeof createTrashRepository>

/** Tasks per read, to find the users with old ones. */
const foundMax = 1000

/**
 * Erases tasks that were deleted before a time, one user after the other, and returns how many. Any number of
 * instances may run it at once: a user whose row another statement locks is skipped until the next run.
 */
export const purgeTrash = async (db: Db, before: string): Promise<number> => {
  const isOld = and(isNotNull(tasks.deleted_at), lte(tasks.deleted_at, before))
  const skipped: string[] = []
  let total = 0
  for (;;) {
    const oldest = db
      .select({ user_id: tasks.user_id })
      .from(tasks)
      .where(and(isOld, notInArray(tasks.user_id, skipped)))
      .orderBy(asc(tasks.deleted_at))
      .limit(foundMax)
      .as('oldest')
    const owners = await runRead(() => db.selectDistinct({ id: oldest.user_id }).from(oldest))
    for (const { id } of owners) {
      const erased = await inBatches((rowsMax) => eraseOld(db, id, isOld, rowsMax))
      total += erased
      if (erased === 0) skipped.push(id)
    }
    if (owners.length === 0) return total
  }
}

/** Erases some of the old tasks of a user; none if another statement has locked the user's row. */
const eraseOld = async (db: Db, userId: string, isOld: SQL | undefined, rowsMax: number) => {
  const isOwn = eq(tasks.user_id, userId)
  const lockedUser = db
    .$with('locked_user')
    .as(
      db
        .select({ user_id: userChanges.user_id })
        .from(userChanges)
        .where(eq(userChanges.user_id, userId))
        .for('update', { skipLocked: true }),
    )
  const some = db.select({ id: tasks.id }).from(tasks).where(and(isOwn, isOld)).limit(rowsMax)
  const where = and(
    isOwn,
    sql`${tasks.id} in ${some}`,
    // Repeated for the row itself: a task that was restored meanwhile is read again, the list of ids is not.
    isOld,
    sql`exists (select from ${lockedUser})`,
  )
  const erasedAt = sql`${now()}::timestamptz`
  const { erasedTasks, tombstones, erased } = eraseFromTrash(db, where, erasedAt)
  const [found] = await runWrite(() =>
    db.with(lockedUser, erasedTasks, tombstones, erased).select().from(erased),
  )
  return found?.count ?? 0
}
