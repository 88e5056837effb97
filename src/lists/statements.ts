import { and, eq, sql } from 'drizzle-orm'
import type { Db } from '../db/database.ts'
import { anchorParam, isPlaced, moveCtes } from '../db/moves.ts'
import { nowParam, param } from '../db/params.ts'
import { positionAtEnd } from '../db/positions.ts'
import { lists, listTombstones, tasks } from '../db/schema.ts'
import { changeOf, createUserScope, isStarted, placeholders, TRUE } from '../db/user-scope.ts'
import { countTasks, isOne, isOwn, storedColumns } from './reads.ts'
import { listsMax } from './schema.ts'

const versions = param('versions', 'int[]')

/** Inserts a list in a free slot; no row without one. */
export const insertStatement = (db: Db) => {
  const { sessionRow, nextChange } = createUserScope(db, placeholders)
  const row = sql`select ${nextChange.user_id}, ${param('id', 'uuid')}, ${param('name', 'text')},
    ${param('key', 'text')}, free.slot, ${positionAtEnd(sql`${nextChange.change}`)}, 1, ${nowParam}, ${nowParam},
    ${nextChange.change}
    from ${nextChange}, lateral (
      select candidate.slot from generate_series(1, ${sql.raw(`${listsMax}`)}) as candidate (slot)
      where not exists (select from ${lists} where ${isOwn} and ${lists.slot} = candidate.slot)
      order by candidate.slot limit 1) as free`
  const list = db.$with('list').as(
    db
      .insert(lists)
      .select(row)
      .returning({ ...storedColumns, task_count: sql<number>`0`.as('task_count') }),
  )
  return db.with(sessionRow, nextChange, list).select().from(sessionRow).leftJoin(list, TRUE)
}

/** Locks the current row after the user's counter, as every write does. `isExpected`: its version is an expected one. */
const lockCurrent = (db: Db) => {
  const { nextChange } = createUserScope(db, placeholders)
  const current = db.$with('current').as(
    db
      .select({ id: lists.id, version: lists.version, change: changeOf(nextChange) })
      .from(lists)
      .where(and(isOne, isStarted(nextChange)))
      .for('update'),
  )
  const isExpected = sql<boolean>`(${versions} is null or ${current.version} = any(${versions}))`
  return { current, isExpected }
}

const written = {
  version: sql`${lists.version} + 1`,
  updated_at: nowParam,
}

/** Renames a list; without an effect if its version is not an expected one. */
export const renameStatement = (db: Db) => {
  const { sessionRow, nextChange } = createUserScope(db, placeholders)
  const { current, isExpected } = lockCurrent(db)
  const list = db.$with('list').as(
    db
      .update(lists)
      .set({
        ...written,
        name: param('name', 'text'),
        name_key: param('key', 'text'),
        change: sql`${current.change}`,
      })
      .from(current)
      .where(and(isOne, isExpected))
      .returning({ ...storedColumns, task_count: countTasks(db, lists.id) }),
  )
  return db
    .with(sessionRow, nextChange, current, list)
    .select()
    .from(sessionRow)
    .leftJoin(current, TRUE)
    .leftJoin(list, TRUE)
}

/** Moves a list next to another one. Both are locked. */
export const moveStatement = (db: Db) => {
  const { sessionRow, nextChange } = createUserScope(db, placeholders)
  const { current, isExpected } = lockCurrent(db)
  const anchor = db.$with('anchor').as(
    db
      .select({ id: lists.id, position: lists.position })
      .from(lists)
      .where(and(isOwn, eq(lists.id, anchorParam), isStarted(nextChange)))
      .for('update'),
  )
  const target = db.$with('target').as(
    db
      .select({ id: current.id, change: sql<number>`${current.change}`.as('change') })
      .from(current)
      .innerJoin(anchor, TRUE)
      .where(isExpected),
  )
  const { placing, ranked, placed } = moveCtes(db, {
    table: sql`${lists}`,
    id: sql`${lists.id}`,
    position: sql`${lists.position}`,
    isInOrder: sql`${isOwn}`,
  })
  const moved = db.$with('moved').as(
    db
      .update(lists)
      .set({ ...written, position: sql`${placed.place}`, change: sql`${placed.number}` })
      .from(placed)
      .where(and(isOwn, isPlaced(sql`${lists.id}`)))
      .returning({ ...storedColumns, task_count: countTasks(db, lists.id) }),
  )
  const list = db
    .select()
    .from(moved)
    .where(eq(moved.id, sql.placeholder('id')))
    .as('list')
  return db
    .with(sessionRow, nextChange, current, anchor, target, placing, ranked, placed, moved)
    .select()
    .from(sessionRow)
    .leftJoin(current, TRUE)
    .leftJoin(list, TRUE)
}

/**
 * Deletes a list. Its tasks go to the inbox or, with `toTrash`, to the trash; those in the trash lose the list too.
 *
 * A task that another request put into the list meanwhile is not in the snapshot. It violates the foreign key, and the
 * statement is run again.
 */
export const deleteStatement = (db: Db) => {
  const { sessionRow, nextChange } = createUserScope(db, placeholders)
  const { current, isExpected } = lockCurrent(db)
  const target = db
    .$with('target')
    .as(db.select({ id: current.id, change: current.change }).from(current).where(isExpected))
  const toTrash = param('toTrash', 'boolean')
  const emptied = db.$with('emptied').as(
    db
      .update(tasks)
      .set({
        list_id: sql`null`,
        deleted_at: sql`case when ${toTrash} then coalesce(${tasks.deleted_at}, ${nowParam}) else ${tasks.deleted_at} end`,
        version: sql`${tasks.version} + 1`,
        updated_at: nowParam,
        // For the changes feed, a task in the trash has not changed.
        change: sql`case when ${tasks.deleted_at} is null then ${target.change} else ${tasks.change} end`,
      })
      .from(target)
      .where(and(eq(tasks.user_id, placeholders.user), eq(tasks.list_id, target.id)))
      .returning({ id: tasks.id }),
  )
  const removed = db.$with('removed').as(
    db
      .delete(lists)
      .where(
        and(isOne, sql`exists (select from ${target}) and (select count(*) from ${emptied}) >= 0`),
      )
      .returning({ id: lists.id }),
  )
  const tombstone = db
    .$with('tombstone')
    .as(
      db
        .insert(listTombstones)
        .select(
          sql`select ${nextChange.user_id}, ${nextChange.change}, ${removed.id}, ${nowParam} from ${removed}, ${nextChange}`,
        )
        .returning({ id: listTombstones.id }),
    )
  return db
    .with(sessionRow, nextChange, current, target, emptied, removed, tombstone)
    .select()
    .from(sessionRow)
    .leftJoin(current, TRUE)
    .leftJoin(removed, TRUE)
}
