import { and, asc, eq, gt, sql } from 'drizzle-orm'
import type { Db } from '../../db/database.ts'
import { param } from '../../db/params.ts'
import { sessions, tasks, taskTombstones, userChanges } from '../../db/schema.ts'
import { createUserScope, placeholders, TRUE } from '../../db/user-scope.ts'
import { isActive, taskColumns } from '../task/sql.ts'

/** After every id with the same number. */
export const lastId = 'ffffffff-ffff-ffff-ffff-ffffffffffff'
const position = sql`(${param('number', 'bigint')}, ${param('last', 'uuid')})`
const fresh = param('fresh', 'bigint')
const rows = sql.placeholder('rows')

/**
 * One row for each task or tombstone after a position, and the number of the last change.
 *
 * The writing statement takes its number from the user's row in `user_changes` and holds the lock until it commits. So
 * a number becomes visible only after all smaller ones, and no uncommitted change is skipped. (The order of a sequence
 * would differ from the order of commits.)
 */
const selectChanges = (db: Db) => {
  const current = db
    .select({ ...taskColumns, deleted_at: tasks.deleted_at, change: tasks.change })
    .from(tasks)
    .where(
      and(
        eq(tasks.user_id, placeholders.user),
        // The condition of the index.
        sql`${tasks.change} > 0`,
        sql`(${tasks.change}, ${tasks.id}) > ${position}`,
        sql`(${isActive} or ${tasks.change} > ${fresh})`,
      ),
    )
    .orderBy(asc(tasks.change), asc(tasks.id))
    .limit(rows)
    .as('current')
  const erased = db
    .select({
      erased_id: sql<string>`${taskTombstones.id}`.as('erased_id'),
      erased_deleted_at: sql<string>`${taskTombstones.deleted_at}`
        .mapWith(taskTombstones.deleted_at)
        .as('erased_deleted_at'),
      erased_change: sql<number>`${taskTombstones.change}`
        .mapWith(taskTombstones.change)
        .as('erased_change'),
    })
    .from(taskTombstones)
    .where(
      and(
        eq(taskTombstones.user_id, placeholders.user),
        sql`(${taskTombstones.change}, ${taskTombstones.id}) > ${position}`,
        sql`${taskTombstones.change} > ${fresh}`,
      ),
    )
    .orderBy(asc(taskTombstones.change), asc(taskTombstones.id))
    .limit(rows)
    .as('erased')
  // No task has the id of a tombstone, so the full join contains the rows of both.
  const either = db
    .select({ ...current._.selectedFields, ...erased._.selectedFields })
    .from(current)
    .fullJoin(erased, eq(current.id, erased.erased_id))
    .orderBy(sql`coalesce(change, erased_change), coalesce(id, erased_id)`)
    .limit(rows)
    .as('row')
  const head = db
    .select({ last: userChanges.last })
    .from(userChanges)
    .where(eq(userChanges.user_id, placeholders.user))
    .as('head')
  return { head, either }
}

/** For one session; without a row if it has ended. */
export const changesStatement = (db: Db) => {
  const { sessionRow } = createUserScope(db, placeholders)
  const { head, either } = selectChanges(db)
  return db
    .with(sessionRow)
    .select({ head: head.last, ...either._.selectedFields })
    .from(sessionRow)
    .innerJoin(head, TRUE)
    .leftJoinLateral(either, TRUE)
}

/** For several sessions of the user at once, or none: one row at least, with the sessions that are live. */
export const sharedChangesStatement = (db: Db) => {
  const { head, either } = selectChanges(db)
  const live = db
    .select({ live: sql<string | null>`string_agg(${sessions.id}::text, ',')`.as('live') })
    .from(sessions)
    .where(
      and(
        eq(sessions.user_id, placeholders.user),
        sql`${sessions.id} = any(${param('sessions', 'uuid[]')})`,
        gt(sessions.expires_at, placeholders.now),
      ),
    )
    .as('session')
  return db
    .select({ live: live.live, head: head.last, ...either._.selectedFields })
    .from(live)
    .leftJoin(head, TRUE)
    .leftJoinLateral(either, TRUE)
}
