import { and, asc, eq, sql } from 'drizzle-orm'
import type { Db } from '../../db/database.ts'
import { runRead } from '../../db/errors.ts'
import { param } from '../../db/params.ts'
import { prepareStatement } from '../../db/prepared-statement.ts'
import { tasks, taskTombstones, userChanges } from '../../db/schema.ts'
import {
  createUserScope,
  type Principal,
  placeholders,
  scopeParameters,
  TRUE,
} from '../../db/user-scope.ts'
import type { Task } from '../task/schema.ts'
import { isActive, taskColumns } from '../task/sql.ts'
import type { Change } from './schema.ts'

/**
 * The progress of a copy: it has received all changes up to `number`, and of those with this number, all up to `id`.
 * It needs no deletions up to `fresh`, because its snapshot began after them.
 */
export type Progress = { number: number; id: string; fresh: number }
/** A change, and the position of a copy that has received it. */
export type Entry = { change: Change; number: number; id: string }
export type Changes = { entries: Entry[]; progress: Progress; has_more: boolean }

const lastId = 'ffffffff-ffff-ffff-ffff-ffffffffffff'
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
const changesStatement = (db: Db) => {
  const { sessionRow } = createUserScope(db, placeholders)
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
  return db
    .with(sessionRow)
    .select({ head: head.last, ...either._.selectedFields })
    .from(sessionRow)
    .innerJoin(head, TRUE)
    .leftJoinLateral(either, TRUE)
}

/** The changes feed of a principal; undefined if the session has ended. */
export const createChangesRepository = (db: Db) => {
  const statement = prepareStatement(db, () => changesStatement(db), { isQuickRead: true })

  return (principal: Principal) => {
    const read = (after: Omit<Progress, 'fresh'>, fresh: number, rows: number) => {
      const values = { ...scopeParameters(principal), number: after.number, last: after.id }
      return runRead(() => statement.execute({ ...values, fresh, rows }))
    }

    return {
      /** Without `since`, the first changes are a snapshot of all tasks that are not deleted. */
      async list(limit: number, since?: Progress): Promise<Changes | undefined> {
        const after = since ?? { number: 0, id: lastId }
        const found = await read(after, since?.fresh ?? Number.MAX_SAFE_INTEGER, limit + 1)
        const [first] = found
        if (first === undefined) return undefined

        const all = found.flatMap((row) => toEntry(row) ?? [])
        const entries = all.slice(0, limit)
        const has_more = all.length > limit
        const fresh = since?.fresh ?? first.head
        const last = has_more ? entries.at(-1) : undefined
        return {
          entries,
          has_more,
          progress: last
            ? { number: last.number, id: last.id, fresh }
            : { number: first.head, id: lastId, fresh },
        }
      },

      /** The progress of a copy that has received everything up to now. */
      async head(): Promise<Progress | undefined> {
        const end = { number: Number.MAX_SAFE_INTEGER, id: lastId }
        const [row] = await read(end, end.number, 0)
        return row && { number: row.head, id: lastId, fresh: row.head }
      },
    }
  }
}

export type ChangesRepository = ReturnType<typeof createChangesRepository>

/** A task, a tombstone, or only the head. Members of the other kind are null. */
type Row = { head: number } & {
  [Name in keyof Task | 'change' | 'deleted_at']: (typeof tasks.$inferSelect)[Name] | null
} & { erased_id: string | null; erased_deleted_at: string | null; erased_change: number | null }

const toEntry = (row: Row): Entry | undefined => {
  const {
    head: _head,
    erased_id,
    erased_deleted_at,
    erased_change,
    change,
    deleted_at,
    ...task
  } = row
  const id = task.id ?? erased_id
  const number = change ?? erased_change
  if (id === null || number === null) return undefined
  const deletedAt = erased_deleted_at ?? deleted_at
  if (deletedAt !== null) return { id, number, change: { op: 'delete', id, deleted_at: deletedAt } }
  return { id, number, change: { op: 'upsert', task: task as Task } }
}
