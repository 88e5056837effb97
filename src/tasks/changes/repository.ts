import { now } from '../../db/clock.ts'
import type { Db } from '../../db/database.ts'
import { runRead } from '../../db/errors.ts'
import { arrayLiteral } from '../../db/params.ts'
import { prepareStatement, type Query } from '../../db/prepared-statement.ts'
import type { tasks } from '../../db/schema.ts'
import { type Principal, scopeParameters } from '../../db/user-scope.ts'
import type { List } from '../../lists/schema.ts'
import type { Task } from '../task/schema.ts'
import { type StoredTask, toTask } from '../task/sql.ts'
import type { Change } from './schema.ts'
import { changesStatement, lastId, sharedChangesStatement } from './statements.ts'

/**
 * The progress of a copy: it has received all changes up to `number`, and of those with this number, all up to `id`.
 * It needs no deletions up to `fresh`, because its snapshot began after them.
 */
export type Progress = {
  number: number
  id: string
  fresh: number
  /** Whether the copy contains lists too. */
  lists: boolean
}
/** A change, and the position of a copy that has received it. */
export type Entry = { change: Change; number: number; id: string }
export type Changes = { entries: Entry[]; progress: Progress; has_more: boolean }

/** Whether a copy has everything up to `number`. */
export const isComplete = ({ id }: Progress): boolean => id === lastId

type Place = Pick<Progress, 'number' | 'id'>

/** Whether a position comes before another one. */
export const isBefore = (a: Place, b: Place): boolean =>
  a.number < b.number || (a.number === b.number && a.id < b.id)

/** The changes feed of a principal; undefined if the session has ended. */
export const createChangesRepository = (db: Db) => {
  const statement = eitherStatement(changesStatement, db)

  return (principal: Principal) => {
    const read = ({ number, id: last, fresh, lists }: Progress, rows: number) => {
      const values = { ...scopeParameters(principal), number, last, fresh, rows }
      return runRead(() => statement(lists).execute(values))
    }

    return {
      /** Without a place, the first changes are a snapshot of all that is not deleted. */
      async list(
        limit: number,
        since: Progress | Pick<Progress, 'lists'>,
      ): Promise<Changes | undefined> {
        const isFirst = !('number' in since)
        const after = isFirst ? { ...everything, ...since } : since
        const found = await read(after, limit + 1)
        const [first] = found
        return first && toChanges(found, limit, isFirst ? { ...after, fresh: first.head } : after)
      },

      /** The progress of a copy that has received everything up to now. */
      async head(lists: boolean): Promise<Progress | undefined> {
        const [row] = await read(
          { ...everything, number: Number.MAX_SAFE_INTEGER, lists: false },
          0,
        )
        return row && { number: row.head, id: lastId, fresh: row.head, lists }
      },
    }
  }
}

/** Where a copy that has nothing begins. */
const everything = { number: 0, id: lastId, fresh: Number.MAX_SAFE_INTEGER }

/** Both forms of a statement, without lists and with them. */
const eitherStatement = <Q extends Query>(build: (db: Db, withLists: boolean) => Q, db: Db) => {
  const plain = prepareStatement(db, () => build(db, false), { isQuickRead: true })
  const withLists = prepareStatement(db, () => build(db, true), { isQuickRead: true })
  return (lists: boolean) => (lists ? withLists : plain)
}

export type ChangesRepository = ReturnType<typeof createChangesRepository>

/**
 * Returns the function that reads the changes of a user for what runs without a request: open streams and webhooks. It
 * also returns which of the sessions are live. Undefined if the account was erased.
 */
export const createChangesReader = (db: Db) => {
  const statement = eitherStatement(sharedChangesStatement, db)

  return async (
    userId: string,
    { limit, since, sessionIds }: { limit: number; since: Progress; sessionIds: string[] },
  ): Promise<(Changes & { live: Set<string> }) | undefined> => {
    const { number, id: last, fresh, lists } = since
    const sessions = arrayLiteral(sessionIds)
    const values = { user: userId, sessions, now: now(), number, last, fresh, rows: limit + 1 }
    const found = await runRead(() => statement(lists).execute(values))
    const [first] = found
    if (first === undefined || first.head === null) return undefined
    const live = new Set(first.live?.split(','))
    return { ...toChanges(found as Row[], limit, since), live }
  }
}

export type ChangesReader = ReturnType<typeof createChangesReader>

/** The changes after a position. `rows` has at least one row. */
const toChanges = (rows: Row[], limit: number, { fresh, lists }: Progress): Changes => {
  const head = rows[0]?.head ?? 0
  const all = rows.flatMap((row) => toEntry(row) ?? [])
  const entries = all.slice(0, limit)
  const has_more = all.length > limit
  const last = has_more ? entries.at(-1) : undefined
  const progress = last
    ? { number: last.number, id: last.id, fresh, lists }
    : { number: head, id: lastId, fresh, lists }
  return { entries, has_more, progress }
}

/** A task, a tombstone, a list, a deleted list, or only the head. Members of the other kinds are null or absent. */
type Row = { head: number; live?: string | null } & {
  [Name in keyof Task | 'change' | 'deleted_at']: (typeof tasks.$inferSelect)[Name] | null
} & {
  erased_id: string | null
  erased_deleted_at: string | null
  erased_change: number | null
} & ListRow

type ListRow = {
  [Name in 'listed_id' | 'listed' | 'unlisted_id']?: string | null
} & { [Name in 'listed_change' | 'unlisted_change']?: number | null }

const toEntry = (row: Row): Entry | undefined => {
  const {
    erased_id,
    erased_deleted_at,
    erased_change,
    change,
    deleted_at,
    head: _head,
    live: _live,
    listed_id: _listedId,
    listed_change: _listedChange,
    listed: _listed,
    unlisted_id: _unlistedId,
    unlisted_change: _unlistedChange,
    ...task
  } = row
  const ofList = toListEntry(row)
  if (ofList) return ofList
  const id = task.id ?? erased_id
  const number = change ?? erased_change
  if (id === null || number === null) return undefined
  const deletedAt = erased_deleted_at ?? deleted_at
  if (deletedAt !== null) return { id, number, change: { op: 'delete', id, deleted_at: deletedAt } }
  return { id, number, change: { op: 'upsert', task: toTask(task as StoredTask) } }
}

const toListEntry = (row: ListRow): Entry | undefined => {
  const { listed_id, listed_change, listed, unlisted_id, unlisted_change } = row
  if (listed_id && listed_change && listed) {
    const change = { op: 'upsert' as const, list: JSON.parse(listed) as List }
    return { id: listed_id, number: listed_change, change }
  }
  if (unlisted_id && unlisted_change)
    return {
      id: unlisted_id,
      number: unlisted_change,
      change: { op: 'delete', list_id: unlisted_id },
    }
  return undefined
}
