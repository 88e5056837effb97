import { and, asc, eq, gt, type SQL, sql } from 'drizzle-orm'
import type { Db } from '../../db/database.ts'
import { param } from '../../db/params.ts'
import {
  lists,
  listTombstones,
  sessions,
  tasks,
  taskTombstones,
  userChanges,
} from '../../db/schema.ts'
import { createUserScope, placeholders, TRUE } from '../../db/user-scope.ts'
import { listJson } from '../../lists/reads.ts'
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
  return { head: headOf(db), either }
}

/** The same, with a row for each list and each deleted list. */
const selectChangesWithLists = (db: Db) => {
  const { head, either } = selectChanges(db)
  const isLater = (change: SQL, id: SQL) => sql`(${change}, ${id}) > ${position}`
  const listed = db
    .select({
      listed_id: sql<string>`${lists.id}`.as('listed_id'),
      listed_change: sql<number>`${lists.change}`.mapWith(lists.change).as('listed_change'),
      listed: listJson(db).as('listed'),
    })
    .from(lists)
    .where(
      and(eq(lists.user_id, placeholders.user), isLater(sql`${lists.change}`, sql`${lists.id}`)),
    )
    .orderBy(asc(lists.change), asc(lists.id))
    .limit(rows)
    .as('of_lists')
  const unlisted = db
    .select({
      unlisted_id: sql<string>`${listTombstones.id}`.as('unlisted_id'),
      unlisted_change: sql<number>`${listTombstones.change}`
        .mapWith(listTombstones.change)
        .as('unlisted_change'),
    })
    .from(listTombstones)
    .where(
      and(
        eq(listTombstones.user_id, placeholders.user),
        isLater(sql`${listTombstones.change}`, sql`${listTombstones.id}`),
        sql`${listTombstones.change} > ${fresh}`,
      ),
    )
    .orderBy(asc(listTombstones.change), asc(listTombstones.id))
    .limit(rows)
    .as('unlisted')
  // All ids differ, so the full joins contain all rows.
  const any = db
    .select({
      ...either._.selectedFields,
      ...listed._.selectedFields,
      ...unlisted._.selectedFields,
    })
    .from(either)
    .fullJoin(listed, sql`coalesce(id, erased_id) = listed_id`)
    .fullJoin(unlisted, sql`listed_id = unlisted_id`)
    .orderBy(
      sql`coalesce(change, erased_change, listed_change, unlisted_change)`,
      sql`coalesce(id, erased_id, listed_id, unlisted_id)`,
    )
    .limit(rows)
    .as('any_row')
  return { head, either: any }
}

const headOf = (db: Db) =>
  db
    .select({ last: userChanges.last })
    .from(userChanges)
    .where(eq(userChanges.user_id, placeholders.user))
    .as('head')

type WithLists = ReturnType<typeof selectChangesWithLists>

/** Without lists, the columns of lists are absent, as `ListRow` of the repository says. */
const selectRows = (db: Db, withLists: boolean): WithLists =>
  withLists ? selectChangesWithLists(db) : (selectChanges(db) as never)

/** For one session, with or without lists; without a row if it has ended. */
export const changesStatement = (db: Db, withLists: boolean) => {
  const { sessionRow } = createUserScope(db, placeholders)
  const { head, either } = selectRows(db, withLists)
  return db
    .with(sessionRow)
    .select({ head: head.last, ...either._.selectedFields })
    .from(sessionRow)
    .innerJoin(head, TRUE)
    .leftJoinLateral(either, TRUE)
}

/** For several sessions of the user at once, or none: one row at least, with the sessions that are live. */
export const sharedChangesStatement = (db: Db, withLists: boolean) => {
  const { head, either } = selectRows(db, withLists)
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
