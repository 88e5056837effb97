import { and, asc, eq, type SQL, sql } from 'drizzle-orm'
import type { Db } from '../db/database.ts'
import { lists, tasks } from '../db/schema.ts'
import { createUserScope, placeholders, TRUE } from '../db/user-scope.ts'
import { activeTasksOf } from '../tasks/task/sql.ts'

/** The lists of the user. */
export const isOwn = eq(lists.user_id, placeholders.user)
/** The list of the user with the id of the request. */
export const isOne = and(isOwn, eq(lists.id, sql.placeholder('id')))

/** The stored columns of a List. */
export const storedColumns = {
  id: lists.id,
  name: lists.name,
  position: lists.position,
  version: lists.version,
  created_at: lists.created_at,
  updated_at: lists.updated_at,
}
type ListId = typeof lists.id | SQL

/**
 * Counts the tasks of a list that are not in the trash: those of each state are one range of an index. As `completed = any(…)`, a
 * prepared statement read the whole range of the user for each list.
 */
export const countTasks = (db: Db, id: ListId) => {
  const count = (state: SQL) =>
    sql`${db
      .select({ count: sql`count(*)::int` })
      .from(tasks)
      .where(and(activeTasksOf(placeholders.user), state, sql`${tasks.list_id} = ${id}`))}`
  return sql<number>`${count(sql`not ${tasks.completed}`)} + ${count(sql`${tasks.completed}`)}`.as(
    'task_count',
  )
}

/** A row of `lists` as the JSON text of a List. */
export const listJson = (db: Db) => {
  const time = (column: SQL) =>
    sql`to_char(${column} at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"')`
  return sql<string>`json_build_object('id', ${lists.id}, 'name', ${lists.name}, 'position', ${lists.position},
    'task_count', ${countTasks(db, lists.id).sql}, 'version', ${lists.version},
    'created_at', ${time(sql`${lists.created_at}`)}, 'updated_at', ${time(sql`${lists.updated_at}`)})::text`
}

/** All lists in their order. */
export const allStatement = (db: Db) => {
  const { sessionRow } = createUserScope(db, placeholders)
  const list = db
    .select({ ...storedColumns, task_count: countTasks(db, lists.id) })
    .from(lists)
    .where(isOwn)
    .orderBy(asc(sql`${lists.position} collate "C"`), asc(lists.id))
    .as('list')
  return db.with(sessionRow).select().from(sessionRow).leftJoin(list, TRUE)
}

/** One list. */
export const findStatement = (db: Db) => {
  const { sessionRow } = createUserScope(db, placeholders)
  const list = db.$with('list').as(
    db
      .select({ ...storedColumns, task_count: countTasks(db, lists.id) })
      .from(lists)
      .where(isOne),
  )
  return db.with(sessionRow, list).select().from(sessionRow).leftJoin(list, TRUE)
}
