import { asc, desc, type SQL, sql } from 'drizzle-orm'
import { dueOrNever, dueTime, taskPosition, tasks } from '../../db/schema.ts'
import { titleLengthMax } from '../../limits.ts'
import type { Task } from '../task/schema.ts'
import type { Sort } from './schema.ts'

/** The sort keys of a row and, for ties, its id at the end. */
export type Position = readonly string[]
/** A value of a statement: a text, or its placeholder. */
export type Value = string | ReturnType<typeof sql.placeholder>

/** The sort key of each sort, as its index has it, and its type in a cursor. */
const sortKeys = {
  created_at: { by: sql`${tasks.created_at}`, type: 'timestamptz' },
  updated_at: { by: sql`${tasks.updated_at}`, type: 'timestamptz' },
  // No due date sorts last in both directions.
  due_at: { by: dueOrNever(tasks), type: 'timestamptz' },
  '-due_at': {
    by: sql`coalesce(${dueTime(tasks)}, '-infinity'::timestamptz)`,
    type: 'timestamptz',
  },
  priority: { by: sql`${tasks.priority}`, type: 'priority' },
  title: { by: sql`${tasks.title} collate "C"`, type: 'text' },
  position: { by: sql`${taskPosition(tasks)} collate "C"`, type: 'text' },
} satisfies Partial<Record<Sort, { by: SQL; type: keyof typeof edges }>>

const plainName = (sort: Sort) => sort.replace('-', '') as Exclude<Sort, `-${string}`>
const isDescending = (sort: Sort) => sort.startsWith('-')
const sortKey = (sort: Sort) => sortKeys[sort === '-due_at' ? sort : plainName(sort)]

/** Parses `priority,-due_at`, which the schema has checked. */
export const parseSorts = (text: string): Sort[] => text.split(',') as Sort[]

/** The position of a task in a sort, for a cursor. */
export const toCursorPosition = (task: Task, sorts: readonly Sort[]): Position => {
  const due = task.due_at ?? (task.due_on && `${task.due_on}T00:00:00.000Z`)
  const keys = sorts.map((sort) => {
    if (sort === 'due_at') return due ?? 'infinity'
    if (sort === '-due_at') return due ?? '-infinity'
    return task[plainName(sort) as 'title']
  })
  return [...keys, task.id]
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
export const firstPosition = (sorts: readonly Sort[]): Position => {
  const keys = sorts.map((sort) => {
    const { least, greatest } = edges[sortKey(sort).type]
    return isDescending(sort) ? greatest : least
  })
  const last = sorts.at(-1)
  return [...keys, last && isDescending(last) ? lastId : firstId]
}

/** The order of a sort. Ids break ties, in the direction of the last key. */
export const orderOf = (sorts: readonly Sort[]): SQL[] => {
  const order = (by: SQL, sort: Sort | undefined) =>
    sort && isDescending(sort) ? desc(by) : asc(by)
  return [
    ...sorts.map((sort) => order(sortKey(sort).by, sort)),
    order(sql`${tasks.id}`, sorts.at(-1)),
  ]
}

/**
 * The rows after a position: one range of the index of the first key. With several keys, the rows with the same first key
 * are compared by the others.
 */
export const isAfter = (sorts: readonly Sort[], values: readonly Value[]): SQL => {
  const columns = [
    ...sorts.map((sort, at) => ({ ...sortKey(sort), sort, value: values[at] })),
    { by: sql`${tasks.id}`, type: 'uuid', sort: sorts.at(-1), value: values.at(-1) },
  ].map(({ by, type, sort, value }) => ({
    by,
    is: sql.raw(sort && isDescending(sort) ? '<' : '>'),
    value: sql`${value}::${sql.raw(type)}`,
  }))
  const [first, second] = columns
  if (!first || !second) throw new Error('no sort key')
  // One comparison of rows is one range of an index.
  if (columns.length === 2)
    return sql`(${first.by}, ${second.by}) ${first.is} (${first.value}, ${second.value})`
  const isPast = columns.reduceRight(
    (rest: SQL | undefined, { by, is, value }) =>
      rest
        ? sql`(${by} ${is} ${value} or ${by} = ${value} and ${rest})`
        : sql`${by} ${is} ${value}`,
    undefined,
  )
  return sql`${first.by} ${first.is}= ${first.value} and ${isPast}`
}
