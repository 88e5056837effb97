import type { Db } from '../db/database.ts'
import { retryOnConstraint, runRead, runWrite, violatesConstraint } from '../db/errors.ts'
import { moveParameters } from '../db/moves.ts'
import { arrayLiteral, type ExpectedVersions } from '../db/params.ts'
import { withLongDeadline } from '../db/pool/time-budget.ts'
import { prepareStatement } from '../db/prepared-statement.ts'
import { type Principal, scopeParameters } from '../db/user-scope.ts'
import { normalizeId } from '../schema/types.ts'
import type { Anchor } from '../tasks/move/anchor.ts'
import { toNameKey } from './name.ts'
import { allStatement, findStatement } from './reads.ts'
import { type List, type ListPatch, listsMax } from './schema.ts'
import * as statements from './statements.ts'

/** The written list; the version that is not the expected one; or why the write is refused. */
export type ListResult = { list: List } | { version: number } | 'name-taken' | 'no-anchor'

/** How often a deletion is tried while other requests add tasks to the list. */
const deletionsMax = 20

/**
 * The lists of a principal. Each method is one statement that checks the session. `undefined`: it has ended; `null`: the
 * user has no such list.
 */
export const createListRepository = (db: Db) => {
  const all = prepareStatement(db, () => allStatement(db), { isQuickRead: true })
  const find = prepareStatement(db, () => findStatement(db), { isQuickRead: true })
  const insert = prepareStatement(db, () => statements.insertStatement(db))
  const rename = prepareStatement(db, () => statements.renameStatement(db))
  const move = prepareStatement(db, () => statements.moveStatement(db))
  const remove = prepareStatement(db, () => statements.deleteStatement(db))

  return (principal: Principal) => {
    const target = (id: string, expected: ExpectedVersions) => ({
      ...scopeParameters(principal),
      id: normalizeId(id),
      versions: expected ? arrayLiteral(expected) : null,
    })

    return {
      /** In their order. */
      async all(): Promise<List[] | undefined> {
        const rows = await runRead(() => all.execute(scopeParameters(principal)))
        return rows.length === 0 ? undefined : rows.flatMap(({ list }) => list ?? [])
      },

      async find(id: string): Promise<List | null | undefined> {
        const [row] = await runRead(() => find.execute(target(id, undefined)))
        return row?.list
      },

      /** At the end; `null` if the user has as many as permitted. */
      async add(name: string): Promise<List | 'name-taken' | null | undefined> {
        const values = { id: Bun.randomUUIDv7(), name, key: toNameKey(name) }
        const run = async () => {
          const rows = await runWrite(() =>
            insert.execute({ ...scopeParameters(principal), ...values }),
          )
          return rows[0]?.list
        }
        return refuseTakenName(() => retryOnConstraint('lists_slot', listsMax, run))
      },

      /** An empty patch changes nothing, and returns the list as it is. */
      async change(id: string, { name }: ListPatch, expected: ExpectedVersions) {
        if (name === undefined) return unchanged(await this.find(id), expected)
        return refuseTakenName(async () => {
          const values = { ...target(id, expected), name, key: toNameKey(name) }
          return toResult(await runWrite(() => rename.execute(values)), expected)
        })
      },

      async move(id: string, anchor: Anchor, expected: ExpectedVersions) {
        const values = { ...target(id, expected), ...moveParameters(anchor) }
        return toResult(await runWrite(() => move.execute(values)), expected)
      },

      /** Whether it was deleted; otherwise the version that is not the expected one. */
      async remove(id: string, toTrash: boolean, expected: ExpectedVersions) {
        const values = { ...target(id, expected), toTrash }
        const [row] = await retryOnConstraint('tasks_list', deletionsMax, () =>
          // A list may have 100 000 tasks.
          withLongDeadline(() => runWrite(() => remove.execute(values))),
        )
        if (row?.removed) return true
        return row && (row.current ? { version: row.current.version } : null)
      },
    }
  }
}

export type ListRepository = ReturnType<typeof createListRepository>

type Row = { list: List | null; current: { version: number } | null }

const toResult = ([row]: Row[], expected: ExpectedVersions): ListResult | null | undefined => {
  if (row === undefined) return undefined
  const { list, current } = row
  if (list) return { list }
  if (current === null) return null
  return isExpected(current, expected) ? 'no-anchor' : { version: current.version }
}

const unchanged = (list: List | null | undefined, expected: ExpectedVersions) =>
  list && (isExpected(list, expected) ? { list } : { version: list.version })

const isExpected = ({ version }: { version: number }, expected: ExpectedVersions): boolean =>
  expected === undefined || expected.includes(version)

const refuseTakenName = async <T>(run: () => Promise<T>): Promise<T | 'name-taken'> => {
  try {
    return await run()
  } catch (error) {
    if (violatesConstraint(error, 'lists_name')) return 'name-taken'
    throw error
  }
}
