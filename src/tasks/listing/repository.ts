import { and, eq, type SQL, sql } from 'drizzle-orm'
import type { Db } from '../../db/database.ts'
import { runRead } from '../../db/errors.ts'
import { prepareStatement } from '../../db/prepared-statement.ts'
import { priority, tasks } from '../../db/schema.ts'
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
import { type Filters, filterCondition, narrowCondition } from './filters.ts'
import { Sort } from './schema.ts'
import { firstPosition, isAfter, orderOf, type Position, type Value } from './sorts.ts'

/** From the lowest. */
const priorities = priority.enumValues

type Page = { sorts: readonly Sort[]; rows: number; after: Position | undefined }
type PageValues = {
  sorts: readonly Sort[]
  position: readonly Value[]
  rows: number | ReturnType<typeof sql.placeholder>
}

/** The rows after a position in a sort. */
const pageQuery = (db: Db, scope: UserScopeValues, values: PageValues, filter?: SQL) => {
  const task = pageOf(db, and(activeTasksOf(scope.user), filter), values).as('task')
  const { sessionRow } = createUserScope(db, scope)
  return db.with(sessionRow).select().from(sessionRow).leftJoinLateral(task, TRUE)
}

const pageOf = (db: Db, where: SQL | undefined, { sorts, position, rows }: PageValues) =>
  db
    .select(taskColumns)
    .from(tasks)
    .where(and(where, isAfter(sorts, position)))
    .orderBy(...orderOf(sorts))
    .limit(rows)

/** With more tasks than this, reading them in the order of the page finds enough of them soon. */
const narrowMax = 2000

/**
 * A page with a filter that usually few tasks pass. The planner does not know how many: it read all 100 000 tasks of a user in
 * the order of the page to find the three of today. So the index of the filter is read first, up to a limit.
 */
const narrowPage = (
  db: Db,
  { active, filter, narrow }: { active: SQL | undefined; filter: SQL | undefined; narrow: SQL },
  values: PageValues,
) => {
  const narrowed = db.$with('narrowed').as(
    db
      .select(taskColumns)
      .from(tasks)
      .where(and(active, narrow))
      .limit(narrowMax + 1),
  )
  const isFew = sql`(select count(*) <= ${narrowMax} from ${narrowed})`
  const isNext = isAfter(values.sorts, values.position)
  const few = sql`select * from ${narrowed} as ${tasks} where ${and(isFew, filter, isNext)}`
  const many = pageOf(db, and(active, filter, narrow, sql`not ${isFew}`), values)
  return { narrowed, task: firstOf(db, [few, sql`${many}`], values) }
}

/**
 * A page in the order of priorities, and of another key among equal ones: each priority is read in the order of that key. In the
 * order of the index of priorities, a quarter of the tasks had to be sorted.
 */
const pageByPriority = (
  db: Db,
  { where, wanted }: { where: SQL | undefined; wanted: readonly string[] },
  values: PageValues,
) => {
  const { sorts, position, rows } = values
  const [first, ...others] = sorts
  const [start, ...rest] = position
  const inOrder = first === 'priority' ? priorities : priorities.toReversed()
  const parts = inOrder
    .slice(inOrder.indexOf(start as Task['priority']))
    .filter((one) => wanted.includes(one))
    .map((one) => {
      const after = one === start ? rest : firstPosition(others)
      const isOne = and(where, eq(tasks.priority, one))
      return sql`${pageOf(db, isOne, { sorts: others, position: after, rows })}`
    })
  return firstOf(db, parts, values)
}

/** The CTE with the first rows of several queries in the order of a sort. */
const firstOf = (db: Db, queries: SQL[], values: PageValues) => {
  const all = sql.join(queries, sql` union all `)
  const order = sql.join(orderOf(values.sorts), sql`, `)
  return db
    .$with('task', db.$with('task').as(pageOf(db, TRUE, values))._.selectedFields)
    .as(sql`select * from (${all}) as ${tasks} order by ${order} limit ${values.rows}`)
}

/** The same rows as `pageQuery` for filters that are not prepared. */
const filteredPageQuery = (
  db: Db,
  scope: UserScopeValues,
  values: PageValues,
  filters: Filters,
) => {
  const active = activeTasksOf(scope.user)
  const filter = filterCondition(filters, scope)
  const narrow = narrowCondition(filters, scope)
  const { sessionRow } = createUserScope(db, scope)
  if (narrow) {
    const { narrowed, task } = narrowPage(db, { active, filter, narrow }, values)
    return db.with(sessionRow, narrowed, task).select().from(sessionRow).leftJoin(task, TRUE)
  }
  if (values.sorts.length > 1 && /^-?priority$/.test(values.sorts[0] ?? '')) {
    const wanted = [filters.priority ?? priorities].flat()
    const task = pageByPriority(db, { where: and(active, filter), wanted }, values)
    return db.with(sessionRow, task).select().from(sessionRow).leftJoin(task, TRUE)
  }
  return pageQuery(db, scope, values, filter)
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
          : filteredPageQuery(db, scope, { sorts, position, rows }, filters),
      )
      return found.length === 0
        ? undefined
        : found.flatMap(({ task }) => (task ? toTask(task) : []))
    },
  })
}

export type ListingRepository = ReturnType<typeof createListingRepository>
