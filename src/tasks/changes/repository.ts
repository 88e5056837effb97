import { now } from '../../db/clock.ts'
import type { Db } from '../../db/database.ts'
import { runRead } from '../../db/errors.ts'
import { arrayLiteral } from '../../db/params.ts'
import { prepareStatement } from '../../db/prepared-statement.ts'
import type { tasks } from '../../db/schema.ts'
import { type Principal, scopeParameters } from '../../db/user-scope.ts'
import type { Task } from '../task/schema.ts'
import type { Change } from './schema.ts'
import { changesStatement, lastId, sharedChangesStatement } from './statements.ts'

/**
 * The progress of a copy: it has received all changes up to `number`, and of those with this number, all up to `id`.
 * It needs no deletions up to `fresh`, because its snapshot began after them.
 */
export type Progress = { number: number; id: string; fresh: number }
/** A change, and the position of a copy that has received it. */
export type Entry = { change: Change; number: number; id: string }
export type Changes = { entries: Entry[]; progress: Progress; has_more: boolean }

/** Whether a copy has everything up to `number`. */
export const isComplete = ({ id }: Progress): boolean => id === lastId

/** Whether a position comes before another one. */
export const isBefore = (a: Omit<Progress, 'fresh'>, b: Omit<Progress, 'fresh'>): boolean =>
  a.number < b.number || (a.number === b.number && a.id < b.id)

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
        return first && toChanges(found, limit, since?.fresh ?? first.head, first.head)
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

/**
 * Returns the function that reads the changes of a user for what runs without a request: open streams and webhooks. It
 * also returns which of the sessions are live. Undefined if the account was erased.
 */
export const createChangesReader = (db: Db) => {
  const statement = prepareStatement(db, () => sharedChangesStatement(db), { isQuickRead: true })

  return async (
    userId: string,
    { limit, since, sessionIds }: { limit: number; since: Progress; sessionIds: string[] },
  ): Promise<(Changes & { live: Set<string> }) | undefined> => {
    const { number, id: last, fresh } = since
    const sessions = arrayLiteral(sessionIds)
    const values = { user: userId, sessions, now: now(), number, last, fresh, rows: limit + 1 }
    const found = await runRead(() => statement.execute(values))
    const [first] = found
    if (first === undefined || first.head === null) return undefined
    const live = new Set(first.live?.split(','))
    return { ...toChanges(found as Row[], limit, fresh, first.head), live }
  }
}

export type ChangesReader = ReturnType<typeof createChangesReader>

const toChanges = (rows: Row[], limit: number, fresh: number, head: number): Changes => {
  const all = rows.flatMap((row) => toEntry(row) ?? [])
  const entries = all.slice(0, limit)
  const has_more = all.length > limit
  const last = has_more ? entries.at(-1) : undefined
  const progress = last
    ? { number: last.number, id: last.id, fresh }
    : { number: head, id: lastId, fresh }
  return { entries, has_more, progress }
}

/** A task, a tombstone, or only the head. Members of the other kind are null. */
type Row = { head: number; live?: string | null } & {
  [Name in keyof Task | 'change' | 'deleted_at']: (typeof tasks.$inferSelect)[Name] | null
} & { erased_id: string | null; erased_deleted_at: string | null; erased_change: number | null }

const toEntry = (row: Row): Entry | undefined => {
  const {
    erased_id,
    erased_deleted_at,
    erased_change,
    change,
    deleted_at,
    head: _head,
    live: _live,
    ...task
  } = row
  const id = task.id ?? erased_id
  const number = change ?? erased_change
  if (id === null || number === null) return undefined
  const deletedAt = erased_deleted_at ?? deleted_at
  if (deletedAt !== null) return { id, number, change: { op: 'delete', id, deleted_at: deletedAt } }
  return { id, number, change: { op: 'upsert', task: task as Task } }
}
