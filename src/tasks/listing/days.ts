import { type SQL, sql } from 'drizzle-orm'
import { addSeconds } from '../../db/clock.ts'
import { dueOrNever, dueTime, tasks, users } from '../../db/schema.ts'
import type { UserScopeValues } from '../../db/user-scope.ts'

/**
 * The days of a user, whose time zone the statement reads. `now` is the time of the request. `today` is a date, and
 * `startOf` the time at which a later day begins, behind the gap if midnight is in one.
 */
export type Days = { now: UserScopeValues['now']; today: SQL; startOf: (daysLater: number) => SQL }

/** The days for the principal of a statement. */
export const daysOf = ({ user, now }: UserScopeValues): Days => {
  const zone = sql`(select ${users.time_zone} from ${users} where ${users.id} = ${user})`
  const today = sql`(${now}::timestamptz at time zone ${zone})::date`
  return {
    now,
    today,
    startOf: (daysLater) =>
      sql`((${today} + ${sql.raw(`${daysLater}`)})::timestamp at time zone ${zone})`,
  }
}

/** Days of the world differ by at most this from those of UTC. */
const zoneSeconds = 15 * 3600

/** Due from the start of the day `from` to that of the day `to`, counted from today: two ranges of indexes. */
export const isDueBetween = (days: Days, from: number, to: number): SQL => {
  const { today, startOf } = days
  const [first, end] = [sql.raw(`${from}`), sql.raw(`${to}`)]
  const due = dueOrNever(tasks)
  return sql`((${tasks.due_on} >= ${today} + ${first} and ${tasks.due_on} < ${today} + ${end})
    or (${due} >= ${startOf(from)} and ${due} < ${startOf(to)} and ${tasks.due_at} is not null))`
}

/** Not completed, and due before now, or on a day before today. */
export const isOverdue = (days: Days): SQL =>
  sql`(not ${tasks.completed} and coalesce(${isBeforeTomorrow(days)} and (
    ${tasks.due_at} < ${days.now}::timestamptz or ${tasks.due_on} < ${days.today}), false))`

/** True for every task that is overdue. Its value is known before the zone is, so that the planner can use it. */
const isBeforeTomorrow = ({ now }: Days): SQL => {
  const edge =
    typeof now === 'string'
      ? sql`${addSeconds(now, zoneSeconds)}::timestamptz`
      : sql`${now}::timestamptz + ${sql.raw(`'${zoneSeconds} seconds'`)}::interval`
  return sql`${dueTime(tasks)} < ${edge}`
}
