import { and, asc, eq, sql } from 'drizzle-orm'
import type { Db } from '../../db/client.ts'
import { runRead } from '../../db/faults.ts'
import { prepareStatement } from '../../db/prepared-statement.ts'
import { tasks, taskTombstones, userChanges } from '../../db/schema.ts'
import {
  createUserScope,
  type Principal,
  placeholders,
  scopeParameters,
  TRUE,
} from '../../db/user-scope.ts'
import type { Change } from '../bulk-model.ts'
import type { Task } from '../task/schema.ts'
import { isActive, param, taskColumns } from '../task/sql.ts'

/**
 * How far a copy has come: behind the change `number`, and of those that share it, behind `id`.
 * Deletions up to `fresh` are not for it: its snapshot began with what was left by then.
 */
export type Progress = { number: number; id: string; fresh: number }
export type Changes = { changes: Change[]; progress: Progress; has_more: boolean }

const lastId = 'ffffffff-ffff-ffff-ffff-ffffffffffff'
const position = sql`(${param('number', 'bigint')}, ${param('last', 'uuid')})`
const fresh = param('fresh', 'bigint')
const rows = sql.placeholder('rows')

/**
 * A row for each task or tombstone behind a position, and the number of the last change.
 *
 * Numbers are taken from the user's row in `user_changes` by the statement that writes, which
 * holds its lock until it commits: a number is seen only after all smaller ones, so nobody
 * reads past a change that is yet to be committed. (A sequence would hand out numbers in one
 * order and commit in another.)
 */
const statementOf = (db: Db) => {
  const { sessionRow } = createUserScope(db, placeholders)
  const current = db
    .select({ ...taskColumns, deleted_at: tasks.deleted_at, change: tasks.change })
    .from(tasks)
    .where(
      and(
        eq(tasks.user_id, placeholders.user),
        // In the words of the index.
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
  // A tombstone's id is no task's, so this is both of them, one below the other.
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

/** What has happened to the tasks of whoever asks; nothing where their session has ended. */
export const createChangesRepository = (db: Db) => {
  const statement = prepareStatement(db, statementOf(db), { isQuickRead: true })

  return (principal: Principal) =>
    /** `since` nothing: a snapshot of what is not deleted, as the first of the changes. */
    async (limit: number, since?: Progress): Promise<Changes | undefined> => {
      const found = await runRead(() =>
        statement.execute({
          ...scopeParameters(principal),
          number: since?.number ?? 0,
          last: since?.id ?? lastId,
          fresh: since?.fresh ?? Number.MAX_SAFE_INTEGER,
          rows: limit + 1,
        }),
      )
      const [first] = found
      if (first === undefined) return undefined

      const all = found.flatMap((row) => read(row) ?? [])
      const page = all.slice(0, limit)
      const has_more = all.length > limit
      const newFresh = since?.fresh ?? first.head
      const at = has_more ? page.at(-1) : undefined
      return {
        changes: page.map(({ change }) => change),
        has_more,
        progress: at
          ? { number: at.number, id: at.id, fresh: newFresh }
          : { number: first.head, id: lastId, fresh: newFresh },
      }
    }
}

export type ChangesRepository = ReturnType<typeof createChangesRepository>

/** A task with null for all that a tombstone has not, or the other way round; or only the head. */
type Row = { head: number } & {
  [Name in keyof Task | 'change' | 'deleted_at']: (typeof tasks.$inferSelect)[Name] | null
} & { erased_id: string | null; erased_deleted_at: string | null; erased_change: number | null }

const read = (row: Row): { change: Change; number: number; id: string } | undefined => {
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
