import { and, type SQL, sql } from 'drizzle-orm'
import type { Db } from '../../db/database.ts'
import { runRead } from '../../db/errors.ts'
import { prepareStatement } from '../../db/prepared-statement.ts'
import { tasks } from '../../db/schema.ts'
import {
  createUserScope,
  type Principal,
  placeholders,
  scopeParameters,
  TRUE,
  type UserScopeValues,
} from '../../db/user-scope.ts'
import type { Task } from '../task/schema.ts'
import { activeTasksOf, taskColumns, toTask } from '../task/sql.ts'
import { type Filters, filterCondition } from './filters.ts'
import { Sort } from './schema.ts'
import { firstPosition, isAfter, orderOf, type Position, type Value } from './sorts.ts'

type Page = { sorts: readonly Sort[]; rows: number; after: Position | undefined }
type PageValues = {
  sorts: readonly Sort[]
  position: readonly Value[]
  rows: number | ReturnType<typeof sql.placeholder>
}

/** The rows after a position in a sort. */
const pageQuery = (db: Db, scope: UserScopeValues, values: PageValues, filter?: SQL) => {
  const { sorts, position, rows } = values
  const task = db
    .select(taskColumns)
    .from(tasks)
    .where(and(activeTasksOf(scope.user), isAfter(sorts, position), filter))
    .orderBy(...orderOf(sorts))
    .limit(rows)
    .as('task')
  const { sessionRow } = createUserScope(db, scope)
  return db.with(sessionRow).select().from(sessionRow).leftJoinLateral(task, TRUE)
}

/** The lists without filters and with one key are prepared. Otherwise, there would be thousands of statements. */
const preparePages = (db: Db) => {
  const { placeholder } = sql
  const position = [placeholder('key'), placeholder('last')]
  const page = (sort: Sort) =>
    prepareStatement(
      db,
      () => pageQuery(db, placeholders, { sorts: [sort], position, rows: placeholder('rows') }),
      { isQuickRead: true },
    )
  return Object.fromEntries((Sort.enum as Sort[]).map((sort) => [sort, page(sort)])) as Record<
    Sort,
    ReturnType<typeof page>
  >
}

/** The lists of a principal; undefined if the session has ended. */
export const createListingRepository = (db: Db) => {
  const pages = preparePages(db)

  return (principal: Principal) => ({
    async page(filters: Filters, { sorts, rows, after }: Page): Promise<Task[] | undefined> {
      const scope = scopeParameters(principal)
      const position = after ?? firstPosition(sorts)
      const [sort, ...others] = sorts
      const isPrepared = sort && others.length === 0 && Object.keys(filters).length === 0
      const found = await runRead(() =>
        isPrepared
          ? pages[sort].execute({ ...scope, rows, key: position[0], last: position.at(-1) })
          : pageQuery(db, scope, { sorts, position, rows }, filterCondition(filters, scope)),
      )
      return found.length === 0
        ? undefined
        : found.flatMap(({ task }) => (task ? toTask(task) : []))
    },
  })
}

export type ListingRepository = ReturnType<typeof createListingRepository>
