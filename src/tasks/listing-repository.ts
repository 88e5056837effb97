import { and, asc, desc, eq, gt, lt, type SQL, sql } from 'drizzle-orm'
import { type Caller, whoOf } from '../auth/caller.ts'
import type { Db } from '../db/client.ts'
import { reading } from '../db/faults.ts'
import { always, anyone, partsOf, type Who } from '../db/live.ts'
import { prepared } from '../db/prepared.ts'
import { tasks } from '../db/schema.ts'
import { toUtc } from '../instants.ts'
import type { Sort, Task, TaskQuery, TrashedTask } from './model.ts'
import type { Position } from './seals.ts'
import { arrayOf, mineInTrash, mineLiveOf, shown } from './statements.ts'

export type Filters = Omit<TaskQuery, 'sort' | 'limit' | 'cursor'>
type Page = { sort: Sort; rows: number; after: Position | undefined }

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
export const positionOf = (task: Task, sort: Sort): Position => {
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
const startOf = (sort: Sort): Position => {
  const { least, greatest } = edges[sortKeys[sort].type]
  return sort.startsWith('-') ? [greatest, lastId] : [least, firstId]
}

/** Rows in the order of a sort, from behind a position: each read by one range of one index. */
const pageOf = (db: Db, who: Who, sort: Sort, values: PageValues, filter?: SQL) => {
  const { by, type } = sortKeys[sort]
  const down = sort.startsWith('-')
  const position = sql`(${values.key}::${sql.raw(type)}, ${values.last}::uuid)`
  const from = sql`(${by}, ${tasks.id}) ${sql.raw(down ? '<' : '>')} ${position}`
  const task = db
    .select(shown)
    .from(tasks)
    .where(and(mineLiveOf(who.user), from, filter))
    .orderBy(down ? desc(by) : asc(by), down ? desc(tasks.id) : asc(tasks.id))
    .limit(values.rows)
    .as('task')
  const { live } = partsOf(db, who)
  return db.with(live).select().from(live).leftJoinLateral(task, always)
}

type Value = string | ReturnType<typeof sql.placeholder>
type PageValues = {
  key: Value
  last: Value
  rows: number | ReturnType<typeof sql.placeholder>
}

/** The lists without filters, prepared; with filters there would be thousands of them. */
const preparedOf = (db: Db) => {
  const { placeholder } = sql
  const values = { key: placeholder('key'), last: placeholder('last'), rows: placeholder('rows') }
  const page = (sort: Sort) => prepared(db, pageOf(db, anyone, sort, values), { isQuickRead: true })
  return Object.fromEntries(
    Object.keys(sortKeys).map((sort) => [sort, page(sort as Sort)]),
  ) as Record<Sort, ReturnType<typeof page>>
}

const trashOf = (db: Db) => {
  const position = sql`(${sql.placeholder('key')}::timestamptz, ${sql.placeholder('last')}::uuid)`
  const task = db
    .select({
      ...shown,
      deleted_at: sql<string>`${tasks.deleted_at}`.mapWith(tasks.deleted_at).as('deleted_at'),
    })
    .from(tasks)
    .where(and(mineInTrash, sql`(${tasks.deleted_at}, ${tasks.id}) < ${position}`))
    .orderBy(desc(tasks.deleted_at), desc(tasks.id))
    .limit(sql.placeholder('rows'))
    .as('task')
  const { live } = partsOf(db, anyone)
  return db.with(live).select().from(live).leftJoinLateral(task, always)
}

/** The lists of whoever asks; nothing where their session has ended. */
export const listingRepository = (db: Db) => {
  const pages = preparedOf(db)
  const trash = prepared(db, trashOf(db), { isQuickRead: true })

  return (caller: Caller) => {
    const who = () => whoOf(caller)

    return {
      async page(filters: Filters, page: Page): Promise<Task[] | undefined> {
        const { sort, rows } = page
        const [key, last] = page.after ?? startOf(sort)
        const values = { rows, key, last }
        const found = await reading(() =>
          Object.keys(filters).length > 0
            ? pageOf(db, who(), sort, values, conditionOf(filters))
            : pages[sort].execute({ ...who(), ...values }),
        )
        return found.length === 0 ? undefined : found.flatMap(({ task }) => task ?? [])
      },

      async trash(
        rows: number,
        [key, last]: Position = ['infinity', lastId],
      ): Promise<TrashedTask[] | undefined> {
        const found = await reading(() => trash.execute({ ...who(), rows, key, last }))
        return found.length === 0 ? undefined : found.flatMap(({ task }) => task ?? [])
      },
    }
  }
}

export type ListsOf = ReturnType<typeof listingRepository>

const conditionOf = (filters: Filters): SQL | undefined => {
  const { completed, priority, tag, q, due_before, due_after, updated_after } = filters
  const times = [due_before, due_after, updated_after].map((time) => toUtc(time))
  const [before, after, changed] = times
  const pattern = q === undefined ? undefined : `%${q.replace(/[\\%_]/g, '\\$&')}%`
  return and(
    completed === undefined ? undefined : eq(tasks.completed, completed === 'true'),
    priority === undefined ? undefined : eq(tasks.priority, priority),
    tag === undefined ? undefined : sql`${tasks.tags} @> ${arrayOf([tag].flat())}::text[]`,
    pattern === undefined
      ? undefined
      : sql`(${tasks.title} ilike ${pattern} or ${tasks.description} ilike ${pattern})`,
    before === undefined ? undefined : lt(tasks.due_at, before),
    after === undefined ? undefined : gt(tasks.due_at, after),
    changed === undefined ? undefined : gt(tasks.updated_at, changed),
  )
}
