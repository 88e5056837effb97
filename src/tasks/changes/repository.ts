import { now } from '../../db/clock.ts'
import type { Db } from '../../db/database.ts'
import { runRead } from '../../db/errors.ts'
import { arrayLiteral } from '../../db/params.ts'
import { prepareStatement, type Query } from '../../db/prepared-statement.ts'
import { type Principal, scopeParameters } from '../../db/user-scope.ts'
import { type Entry, type Row, toEntry } from './entries.ts'
import { changesStatement, type Kinds, lastId, sharedChangesStatement } from './statements.ts'

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
export type Changes = { entries: Entry[]; progress: Progress; has_more: boolean }

/** Whether a copy has everything up to `number`. */
export const isComplete = ({ id }: Progress): boolean => id === lastId

type Place = Pick<Progress, 'number' | 'id'>

/** Whether a position comes before another one. */
export const isBefore = (a: Place, b: Place): boolean =>
  a.number < b.number || (a.number === b.number && a.id < b.id)

/** The changes feed of a principal; undefined if the session has ended. */
export const createChangesRepository = (db: Db) => {
  const statement = formsOf(changesStatement, db)

  return (principal: Principal) => {
    const read = (since: Progress, rows: number, reminders: boolean) => {
      const { number, id: last, fresh, lists } = since
      const values = { ...scopeParameters(principal), number, last, fresh, rows }
      return runRead(() => statement({ lists, reminders }).execute(values))
    }

    return {
      /** Without a place, the first changes are a snapshot of all that is not deleted. */
      async list(
        limit: number,
        since: Progress | Pick<Progress, 'lists'>,
        reminders = false,
      ): Promise<Changes | undefined> {
        const isFirst = !('number' in since)
        const after = isFirst ? { ...everything, ...since } : since
        const found = await read(after, limit + 1, reminders)
        const [first] = found
        return first && toChanges(found, limit, isFirst ? { ...after, fresh: first.head } : after)
      },

      /** The progress of a copy that has received everything up to now. */
      async head(lists: boolean): Promise<Progress | undefined> {
        const [row] = await read(
          { ...everything, number: Number.MAX_SAFE_INTEGER, lists: false },
          0,
          false,
        )
        return row && { number: row.head, id: lastId, fresh: row.head, lists }
      },
    }
  }
}

/** Where a copy that has nothing begins. */
const everything = { number: 0, id: lastId, fresh: Number.MAX_SAFE_INTEGER }

/** All forms of a statement: without and with lists and reminders. */
const formsOf = <Q extends Query>(build: (db: Db, kinds: Kinds) => Q, db: Db) => {
  const form = (lists: boolean, reminders: boolean) =>
    prepareStatement(db, () => build(db, { lists, reminders }), { isQuickRead: true })
  const forms = [
    form(false, false),
    form(true, false),
    form(false, true),
    form(true, true),
  ] as const
  return ({ lists, reminders }: Kinds) => forms[lists ? (reminders ? 3 : 1) : reminders ? 2 : 0]
}

export type ChangesRepository = ReturnType<typeof createChangesRepository>

/**
 * Returns the function that reads the changes of a user for what runs without a request: open streams and webhooks. It
 * also returns which of the sessions are live. Undefined if the account was erased.
 */
export const createChangesReader = (db: Db) => {
  const statement = formsOf(sharedChangesStatement, db)

  return async (
    userId: string,
    { limit, since, sessionIds }: { limit: number; since: Progress; sessionIds: string[] },
  ): Promise<(Changes & { live: Set<string> }) | undefined> => {
    const { number, id: last, fresh, lists } = since
    const sessions = arrayLiteral(sessionIds)
    const values = { user: userId, sessions, now: now(), number, last, fresh, rows: limit + 1 }
    const found = await runRead(() => statement({ lists, reminders: true }).execute(values))
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
