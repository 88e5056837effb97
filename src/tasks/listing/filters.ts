import { and, eq, gt, inArray, isNull, lt, not, type SQL, sql } from 'drizzle-orm'
import { arrayLiteral } from '../../db/params.ts'
import { dueTime, inboxId, listOf, tasks } from '../../db/schema.ts'
import type { UserScopeValues } from '../../db/user-scope.ts'
import { toUtc } from '../../schema/timestamp.ts'
import { normalizeId } from '../../schema/types.ts'
import { type Days, daysOf, isDueBetween, isOverdue } from './days.ts'
import type { TaskQuery } from './schema.ts'

export type Filters = Omit<TaskQuery, 'sort' | 'limit' | 'cursor'>

/** The filter that usually few tasks pass, whichever the order; undefined if a request has none. */
export const narrowCondition = ({ due }: Filters, scope: UserScopeValues): SQL | undefined =>
  due === 'today' || due === 'week'
    ? isDueBetween(daysOf(scope), 0, due === 'today' ? 1 : 7)
    : undefined

/** The condition of all filters but `narrowCondition`. Those about today read the time zone of the user in the same statement. */
export const filterCondition = (filters: Filters, scope: UserScopeValues): SQL | undefined => {
  const { completed, priority, tag, tags_any, q, list_id } = filters
  return and(
    completed === undefined ? undefined : eq(tasks.completed, String(completed) === 'true'),
    priority === undefined ? undefined : inArray(tasks.priority, [priority].flat() as 'low'[]),
    tag === undefined ? undefined : sql`${tasks.tags} @> ${arrayLiteral([tag].flat())}::text[]`,
    tags_any === undefined
      ? undefined
      : sql`${tasks.tags} && ${arrayLiteral([tags_any].flat())}::text[]`,
    list_id === undefined ? undefined : isInList(list_id),
    q === undefined ? undefined : hasWords(q),
    timeCondition(filters),
    dayCondition(filters, daysOf(scope)),
  )
}

const timeCondition = (filters: Filters): SQL | undefined => {
  const { due_before, due_after, updated_after, completed_before, completed_after } = filters
  const is = (compare: typeof lt, by: SQL, time: string | undefined) => {
    const utc = toUtc(time)
    return utc === undefined ? undefined : compare(by, utc)
  }
  return and(
    is(lt, dueTime(tasks), due_before),
    is(gt, dueTime(tasks), due_after),
    is(gt, sql`${tasks.updated_at}`, updated_after),
    is(lt, sql`${tasks.completed_at}`, completed_before),
    is(gt, sql`${tasks.completed_at}`, completed_after),
  )
}

const dayCondition = (filters: Filters, days: Days): SQL | undefined => {
  const { overdue, due, due_on_before, due_on_after } = filters
  const isLate = overdue === undefined ? undefined : isOverdue(days)
  return and(
    due_on_before === undefined ? undefined : lt(tasks.due_on, due_on_before),
    due_on_after === undefined ? undefined : gt(tasks.due_on, due_on_after),
    isLate && (String(overdue) === 'true' ? isLate : not(isLate)),
    due === 'none' ? and(isNull(tasks.due_at), isNull(tasks.due_on)) : undefined,
  )
}

/** Every word occurs in the title or the description. Compared in NFC: other forms of a text are equal. */
const hasWords = (q: string): SQL | undefined =>
  and(
    ...q
      .normalize('NFC')
      .split(/\s+/)
      .filter((word) => word !== '')
      .map((word) => {
        const pattern = `%${word.replace(/[\\%_]/g, '\\$&')}%`
        return sql`(normalize(${tasks.title}) ilike ${pattern} or normalize(${tasks.description}) ilike ${pattern})`
      }),
  )

/** An id that is not one is the nil UUID, as everywhere; here that is the inbox, so no task matches it. */
const isInList = (list: string): SQL => {
  const id = normalizeId(list)
  if (list === 'inbox') return sql`${listOf(tasks)} = ${inboxId}::uuid`
  return id === inboxId ? sql`false` : sql`${listOf(tasks)} = ${id}::uuid`
}
