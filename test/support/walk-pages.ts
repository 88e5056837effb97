import { expect } from 'bun:test'
import type { Static } from '@sinclair/typebox'
import type { Sort, TaskQuery } from '../../src/tasks/listing/schema.ts'
import type { NewTask, Task as TaskSchema } from '../../src/tasks/task/schema.ts'
import { statements } from './recorded-statements/log.ts'
import type { Someone } from './service.ts'

export type Task = Static<typeof TaskSchema>
export type Draft = Static<typeof NewTask> & {
  completed?: boolean
  completed_at?: string | null
  created_at?: string
}
export type Query = Omit<Static<typeof TaskQuery>, 'cursor'>

export const sorts: readonly Sort[] = (
  ['created_at', 'updated_at', 'due_at', 'priority', 'title', 'position'] as const
).flatMap((sort) => [sort, `-${sort}` as const])

/** A query string; a list becomes a repeated parameter. */
export const search = (query: Record<string, unknown>): string =>
  `${new URLSearchParams(
    Object.entries(query).flatMap(([name, values]) =>
      [values ?? []].flat().map((value): [string, string] => [name, String(value)]),
    ),
  )}`

/** Reads all pages of a list by `next_cursor`. `meanwhile` runs concurrently with each request. */
export const walk = async (
  { call }: Pick<Someone, 'call'>,
  path: string,
  meanwhile: () => Promise<unknown> = async () => {},
): Promise<Task[][]> => {
  const pages: Task[][] = []
  let cursor: string | null = null
  do {
    const next: string = cursor === null ? '' : `&cursor=${cursor}`
    const [{ status, body }] = await Promise.all([call('GET', `${path}${next}`), meanwhile()])
    expect([path, status]).toEqual([path, 200])
    // A list that repeats a page would never end.
    if (body.tasks.length > 0) expect(body.tasks).not.toEqual(pages.at(-1))
    pages.push(body.tasks)
    cursor = body.next_cursor
  } while (cursor !== null)
  return pages
}

/** Imports many tasks. The recorded statement is removed, because it is as long as the import. */
export const importAll = async ({ call }: Pick<Someone, 'call'>, tasks: readonly Draft[]) => {
  const from = statements.length
  const answer = await call('POST', '/api/tasks/import', { tasks })
  statements.splice(from)
  expect([answer.status, answer.body.imported]).toEqual([200, tasks.length])
}

const ranks = { low: 0, normal: 1, high: 2, urgent: 3 }
const byCodePoint = (a: string, b: string) => Buffer.compare(Buffer.from(a), Buffer.from(b))

/** A day counts as its start in UTC. */
const dueTime = ({ due_at, due_on }: Task) => due_at ?? (due_on && `${due_on}T00:00:00.000Z`)

/** The order that the contract defines for one or several sort keys. */
export const compare = (sort: string) => {
  const sorts = sort.split(',') as Sort[]
  const last = sorts.at(-1)?.startsWith('-') ? -1 : 1
  return (a: Task, b: Task): number =>
    sorts.reduce((decided, key) => decided || compareBy(key, a, b), 0) ||
    last * byCodePoint(a.id, b.id)
}

const compareBy = (sort: Sort, a: Task, b: Task): number => {
  const direction = sort.startsWith('-') ? -1 : 1
  const key = sort.replace('-', '') as Exclude<Sort, `-${string}`>
  const value = (task: Task) => (key === 'due_at' ? dueTime(task) : task[key])
  if (key === 'priority') return direction * (ranks[a.priority] - ranks[b.priority])
  const [one, other] = [value(a), value(b)]
  if (one === null || other === null) return Number(one === null) - Number(other === null)
  return direction * byCodePoint(one, other)
}

/** Exclusive. */
const isBetween = (time: string | null, after = '', before = '9999') =>
  time !== null && time > after && time < before

/** The filters as the contract defines them, without those of today. */
const matchesFilters = (task: Task, query: Query): boolean => {
  const { completed, priority, tag, tags_any, q, due_before, due_after, updated_after } = query
  const { completed_before, completed_after, due_on_before, due_on_after, due } = query
  const fold = (one: string) => one.normalize('NFC').toLowerCase()
  const words = q === undefined ? [] : fold(q).split(/\s+/)
  const texts = [task.title, task.description ?? ''].map(fold)
  const time = (instant: string) => Date.parse(instant)
  const due_at = dueTime(task)
  return (
    (completed === undefined || String(task.completed) === completed) &&
    (priority === undefined || [priority].flat().includes(task.priority)) &&
    [tag ?? []].flat().every((one) => task.tags.includes(one)) &&
    (tags_any === undefined || [tags_any].flat().some((one) => task.tags.includes(one))) &&
    words.every((word) => texts.some((one) => one.includes(word))) &&
    (completed_before === undefined || isBetween(task.completed_at, '', completed_before)) &&
    (completed_after === undefined || isBetween(task.completed_at, completed_after)) &&
    (due_on_before === undefined || (task.due_on !== null && task.due_on < due_on_before)) &&
    (due_on_after === undefined || (task.due_on !== null && task.due_on > due_on_after)) &&
    (due !== 'none' || due_at === null) &&
    (due_before === undefined || (due_at !== null && time(due_at) < time(due_before))) &&
    (due_after === undefined || (due_at !== null && time(due_at) > time(due_after))) &&
    (updated_after === undefined || time(task.updated_at) > time(updated_after))
  )
}

/** The expected tasks of a list, over all pages. */
export const listed = (tasks: Iterable<Task>, query: Query): Task[] =>
  [...tasks]
    .filter((task) => matchesFilters(task, query))
    .sort(compare(query.sort ?? '-created_at'))

/** Pseudo-random numbers, reproducible by their seed (mulberry32). */
export const randomOf = (seed: number) => {
  let state = seed >>> 0
  const next = () => {
    state = (state + 0x6d2b79f5) >>> 0
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state)
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4_294_967_296
  }
  const below = (count: number) => Math.floor(next() * count)
  return {
    below,
    /** True in `percent` of 100 cases. */
    chance: (percent: number) => below(100) < percent,
    of: <One>(items: readonly One[]): One => {
      if (items.length === 0) throw new Error('nothing to choose from')
      return items[below(items.length)] as One
    },
  }
}
export type Random = ReturnType<typeof randomOf>
