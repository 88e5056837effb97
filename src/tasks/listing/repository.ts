import { and, asc, desc, eq, gt, lt, type SQL, sql } from 'drizzle-orm'
import type { Db } from '../../db/database.ts'
import { runRead } from '../../db/errors.ts'
import { arrayLiteral } from '../../db/params.ts'
import { prepareStatement } from '../../db/prepared-statement.ts'
import { dueTime, inboxId, listOf, taskPosition, tasks } from '../../db/schema.ts'
import {
  createUserScope,
  type Principal,
  placeholders,
  scopeParameters,
  TRUE,
  type UserScopeValues,
} from '../../db/user-scope.ts'
import { titleLengthMax } from '../../limits.ts'
import { toUtc } from '../../schema/timestamp.ts'
import { normalizeId } from '../../schema/types.ts'
import type { Task } from '../task/schema.ts'
import { activeTasksOf, taskColumns } from '../task/sql.ts'
import type { Sort, TaskQuery } from './schema.ts'

/** The sort key of a row and, for ties, its id. */
export type Position = readonly [key: string, id: string]

type Filters = Omit<TaskQuery, 'sort' | 'limit' | 'cursor'>
type Page = { sort: Sort; rows: number; after: Position | undefined }

/** The sort key of each sort, as its index has it, and its type in a cursor. */
const sortKeys = {
  created_at: { by: sql`${tasks.created_at}`, type: 'timestamptz' },
  '-created_at': { by: sql`${tasks.created_at}`, type: 'timestamptz' },
  updated_at: { by: sql`${tasks.updated_at}`, type: 'timestamptz' },
  '-updated_at': { by: sql`${tasks.updated_at}`, type: 'timestamptz' },
  // No due date sorts last in both directions.
  due_at: { by: sql`coalesce(${dueTime(tasks)}, 'infinity'::timestamptz)`, type: 'timestamptz' },
  '-due_at': {
    by: sql`coalesce(${dueTime(tasks)}, '-infinity'::timestamptz)`,
    type: 'timestamptz',
  },
  priority: { by: sql`${tasks.priority}`, type: 'priority' },
  '-priority': { by: sql`${tasks.priority}`, type: 'priority' },
  title: { by: sql`${tasks.title} collate "C"`, type: 'text' },
  '-title': { by: sql`${tasks.title} collate "C"`, type: 'text' },
  position: { by: sql`${taskPosition(tasks)} collate "C"`, type: 'text' },
  '-position': { by: sql`${taskPosition(tasks)} collate "C"`, type: 'text' },
} satisfies Record<Sort, { by: SQL; type: keyof typeof edges }>

type PlainKey = Exclude<Sort, `-${string}`>

/** The position of a task in a sort, for a cursor. */
export const toCursorPosition = (task: Task, sort: Sort): Position => {
  const due = task.due_at ?? (task.due_on && `${task.due_on}T00:00:00.000Z`)
  if (sort === 'due_at') return [due ?? 'infinity', task.id]
  if (sort === '-due_at') return [due ?? '-infinity', task.id]
  const key = sort.replace('-', '') as Exclude<PlainKey, 'due_at'>
  return [task[key], task.id]
}

/** The values before and after every row of a sort. */
const edges = {
  timestamptz: { least: '-infinity', greatest: 'infinity' },
  priority: { least: 'low', greatest: 'urgent' },
  text: { least: '', greatest: '\u{10ffff}'.repeat(titleLengthMax + 1) },
}
const firstId = '00000000-0000-0000-0000-000000000000'
const lastId = 'ffffffff-ffff-ffff-ffff-ffffffffffff'

/**
 * The position before the first row. The first page uses a range too: without one and without statistics, PostgreSQL
 * read and sorted all 100 000 tasks.
 */
const firstPosition = (sort: Sort): Position => {
  const { least, greatest } = edges[sortKeys[sort].type]
  return sort.startsWith('-') ? [greatest, lastId] : [least, firstId]
}

/** The rows after a position in a sort: one range of one index. */
const pageQuery = (
  db: Db,
  scope: UserScopeValues,
  sort: Sort,
  values: PageValues,
  filter?: SQL,
) => {
  const { by, type } = sortKeys[sort]
  const isDescending = sort.startsWith('-')
  const position = sql`(${values.key}::${sql.raw(type)}, ${values.last}::uuid)`
  const from = sql`(${by}, ${tasks.id}) ${sql.raw(isDescending ? '<' : '>')} ${position}`
  const task = db
    .select(taskColumns)
    .from(tasks)
    .where(and(activeTasksOf(scope.user), from, filter))
    .orderBy(isDescending ? desc(by) : asc(by), isDescending ? desc(tasks.id) : asc(tasks.id))
    .limit(values.rows)
    .as('task')
  const { sessionRow } = createUserScope(db, scope)
  return db.with(sessionRow).select().from(sessionRow).leftJoinLateral(task, TRUE)
}

type Value = string | ReturnType<typeof sql.placeholder>
type PageValues = {
  key: Value
  last: Value
  rows: number | ReturnType<typeof sql.placeholder>
}

/** The lists without filters are prepared. With filters, there would be thousands of statements. */
const preparePages = (db: Db) => {
  const { placeholder } = sql
  const values = { key: placeholder('key'), last: placeholder('last'), rows: placeholder('rows') }
  const page = (sort: Sort) =>
    prepareStatement(db, () => pageQuery(db, placeholders, sort, values), { isQuickRead: true })
  return Object.fromEntries(
    Object.keys(sortKeys).map((sort) => [sort, page(sort as Sort)]),
  ) as Record<Sort, ReturnType<typeof page>>
}

/** The lists of a principal; undefined if the session has ended. */
export const createListingRepository = (db: Db) => {
  const pages = preparePages(db)

  return (principal: Principal) => ({
    async page(filters: Filters, { sort, rows, after }: Page): Promise<Task[] | undefined> {
      const scope = scopeParameters(principal)
      const [key, last] = after ?? firstPosition(sort)
      const values = { rows, key, last }
      const found = await runRead(() =>
        Object.keys(filters).length > 0
          ? pageQuery(db, scope, sort, values, filterCondition(filters))
          : pages[sort].execute({ ...scope, ...values }),
      )
      return found.length === 0 ? undefined : found.flatMap(({ task }) => task ?? [])
    },
  })
}

export type ListingRepository = ReturnType<typeof createListingRepository>

const filterCondition = (filters: Filters): SQL | undefined => {
  const { completed, priority, tag, q, list_id, due_before, due_after, updated_after } = filters
  const times = [due_before, due_after, updated_after].map((time) => toUtc(time))
  const [before, after, changed] = times
  // Compared in NFC: other forms of the same text are equal, and it is stored as it was sent.
  const text = q?.normalize('NFC')
  const pattern = text === undefined ? undefined : `%${text.replace(/[\\%_]/g, '\\$&')}%`
  return and(
    completed === undefined ? undefined : eq(tasks.completed, completed === 'true'),
    priority === undefined ? undefined : eq(tasks.priority, priority),
    tag === undefined ? undefined : sql`${tasks.tags} @> ${arrayLiteral([tag].flat())}::text[]`,
    list_id === undefined ? undefined : isInList(list_id),
    pattern === undefined
      ? undefined
      : sql`(normalize(${tasks.title}) ilike ${pattern} or normalize(${tasks.description}) ilike ${pattern})`,
    before === undefined ? undefined : lt(dueTime(tasks), before),
    after === undefined ? undefined : gt(dueTime(tasks), after),
    changed === undefined ? undefined : gt(tasks.updated_at, changed),
  )
}

/** An id that is not one is the nil UUID, as everywhere; here that is the inbox, so no task matches it. */
const isInList = (list: string): SQL => {
  const id = normalizeId(list)
  if (list === 'inbox') return sql`${listOf(tasks)} = ${inboxId}::uuid`
  return id === inboxId ? sql`false` : sql`${listOf(tasks)} = ${id}::uuid`
}
