import { and, asc, desc, eq, gt, lt, type SQL, sql } from 'drizzle-orm'
import type { Db } from '../../db/client.ts'
import { runRead } from '../../db/faults.ts'
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
import type { CursorPosition } from '../../http/cursor-codec.ts'
import { toUtc } from '../../schema/timestamp.ts'
import type { Sort, Task, TaskQuery, TrashedTask } from '../task/schema.ts'
import { activeTasksOf, arrayLiteral, taskColumns, trashedTasks } from '../task/sql.ts'

export type Filters = Omit<TaskQuery, 'sort' | 'limit' | 'cursor'>
type Page = { sort: Sort; rows: number; after: CursorPosition | undefined }

/** What a sort goes by, as its index has it, and the type of that in a cursor. */
const sortKeys = {
  created_at: { by: sql`${tasks.created_at}`, type: 'timestamptz' },
  '-created_at': { by: sql`${tasks.created_at}`, type: 'timestamptz' },
  updated_at: { by: sql`${tasks.updated_at}`, type: 'timestamptz' },
  '-updated_at': { by: sql`${tasks.updated_at}`, type: 'timestamptz' },
  // No due date is last, whichever the direction.
  due_at: { by: sql`coalesce(${tasks.due_at}, 'infinity'::timestamptz)`, type: 'timestamptz' },
  '-due_at': { by: sql`coalesce(${tasks.due_at}, '-infinity'::timestamptz)`, type: 'timestamptz' },
  priority: { by: sql`${tasks.priority}`, type: 'priority' },
  '-priority': { by: sql`${tasks.priority}`, type: 'priority' },
  title: { by: sql`${tasks.title} collate "C"`, type: 'text' },
  '-title': { by: sql`${tasks.title} collate "C"`, type: 'text' },
} satisfies Record<Sort, { by: SQL; type: keyof typeof edges }>

/** Where a row stands in a sort. */
export const toCursorPosition = (task: Task, sort: Sort): CursorPosition => {
  if (sort === 'due_at') return [task.due_at ?? 'infinity', task.id]
  if (sort === '-due_at') return [task.due_at ?? '-infinity', task.id]
  const key = sort.replace('-', '') as 'created_at' | 'updated_at' | 'priority' | 'title'
  return [task[key], task.id]
}

/** What no row of a sort goes before, and none behind. */
const edges = {
  timestamptz: { least: '-infinity', greatest: 'infinity' },
  priority: { least: 'low', greatest: 'urgent' },
  text: { least: '', greatest: '\u{10ffff}'.repeat(501) },
}
const firstId = '00000000-0000-0000-0000-000000000000'
const lastId = 'ffffffff-ffff-ffff-ffff-ffffffffffff'

/**
 * Where a sort starts. The first page is read from there like any other from its position: without
 * a range, and before PostgreSQL had statistics, it read and sorted all of 100 000 tasks.
 */
const firstPosition = (sort: Sort): CursorPosition => {
  const { least, greatest } = edges[sortKeys[sort].type]
  return sort.startsWith('-') ? [greatest, lastId] : [least, firstId]
}

/** Rows in the order of a sort, from behind a position: each read by one range of one index. */
const pageQuery = (
  db: Db,
  scope: UserScopeValues,
  sort: Sort,
  values: PageValues,
  filter?: SQL,
) => {
  const { by, type } = sortKeys[sort]
  const down = sort.startsWith('-')
  const position = sql`(${values.key}::${sql.raw(type)}, ${values.last}::uuid)`
  const from = sql`(${by}, ${tasks.id}) ${sql.raw(down ? '<' : '>')} ${position}`
  const task = db
    .select(taskColumns)
    .from(tasks)
    .where(and(activeTasksOf(scope.user), from, filter))
    .orderBy(down ? desc(by) : asc(by), down ? desc(tasks.id) : asc(tasks.id))
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

/** The lists without filters, prepared; with filters there would be thousands of them. */
const preparePages = (db: Db) => {
  const { placeholder } = sql
  const values = { key: placeholder('key'), last: placeholder('last'), rows: placeholder('rows') }
  const page = (sort: Sort) =>
    prepareStatement(db, pageQuery(db, placeholders, sort, values), { isQuickRead: true })
  return Object.fromEntries(
    Object.keys(sortKeys).map((sort) => [sort, page(sort as Sort)]),
  ) as Record<Sort, ReturnType<typeof page>>
}

const trashQuery = (db: Db) => {
  const position = sql`(${sql.placeholder('key')}::timestamptz, ${sql.placeholder('last')}::uuid)`
  const task = db
    .select({
      ...taskColumns,
      deleted_at: sql<string>`${tasks.deleted_at}`.mapWith(tasks.deleted_at).as('deleted_at'),
    })
    .from(tasks)
    .where(and(trashedTasks, sql`(${tasks.deleted_at}, ${tasks.id}) < ${position}`))
    .orderBy(desc(tasks.deleted_at), desc(tasks.id))
    .limit(sql.placeholder('rows'))
    .as('task')
  const { sessionRow } = createUserScope(db, placeholders)
  return db.with(sessionRow).select().from(sessionRow).leftJoinLateral(task, TRUE)
}

/** The lists of whoever asks; nothing where their session has ended. */
export const createListingRepository = (db: Db) => {
  const pages = preparePages(db)
  const trash = prepareStatement(db, trashQuery(db), { isQuickRead: true })

  return (principal: Principal) => {
    const scope = () => scopeParameters(principal)

    return {
      async page(filters: Filters, page: Page): Promise<Task[] | undefined> {
        const { sort, rows } = page
        const [key, last] = page.after ?? firstPosition(sort)
        const values = { rows, key, last }
        const found = await runRead(() =>
          Object.keys(filters).length > 0
            ? pageQuery(db, scope(), sort, values, filterCondition(filters))
            : pages[sort].execute({ ...scope(), ...values }),
        )
        return found.length === 0 ? undefined : found.flatMap(({ task }) => task ?? [])
      },

      async trash(
        rows: number,
        [key, last]: CursorPosition = ['infinity', lastId],
      ): Promise<TrashedTask[] | undefined> {
        const found = await runRead(() => trash.execute({ ...scope(), rows, key, last }))
        return found.length === 0 ? undefined : found.flatMap(({ task }) => task ?? [])
      },
    }
  }
}

export type ListingRepository = ReturnType<typeof createListingRepository>

const filterCondition = (filters: Filters): SQL | undefined => {
  const { completed, priority, tag, q, due_before, due_after, updated_after } = filters
  const times = [due_before, due_after, updated_after].map((time) => toUtc(time))
  const [before, after, changed] = times
  const pattern = q === undefined ? undefined : `%${q.replace(/[\\%_]/g, '\\$&')}%`
  return and(
    completed === undefined ? undefined : eq(tasks.completed, completed === 'true'),
    priority === undefined ? undefined : eq(tasks.priority, priority),
    tag === undefined ? undefined : sql`${tasks.tags} @> ${arrayLiteral([tag].flat())}::text[]`,
    pattern === undefined
      ? undefined
      : sql`(${tasks.title} ilike ${pattern} or ${tasks.description} ilike ${pattern})`,
    before === undefined ? undefined : lt(tasks.due_at, before),
    after === undefined ? undefined : gt(tasks.due_at, after),
    changed === undefined ? undefined : gt(tasks.updated_at, changed),
  )
}
