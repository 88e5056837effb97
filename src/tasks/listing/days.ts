import { type SQL, sql } from 'drizzle-orm'
import { addSeconds } from '../../db/clock.ts'
import { dueTime, tasks, users } from '../../db/schema.ts'
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

/** Days of the world differ by at most this from those of UTC. With it, the range of an index is known before the zone is. */
const zoneSeconds = 15 * 3600
const daySeconds = 86_400

/** Due from the start of the day `from` to that of the day `to`, counted from today. */
export const isDueBetween = (days: Days, from: number, to: number): SQL => {
  const { today, startOf } = days
  const [first, end] = [sql.raw(`${from}`), sql.raw(`${to}`)]
  return sql`(${near(days, '>', from - 1)} and ${near(days, '<', to + 1)} and (
    (${tasks.due_at} >= ${startOf(from)} and ${tasks.due_at} < ${startOf(to)})
    or (${tasks.due_on} >= ${today} + ${first} and ${tasks.due_on} < ${today} + ${end})))`
}

/** Not completed, and due before now, or on a day before today. */
export const isOverdue = (days: Days): SQL =>
  sql`(not ${tasks.completed} and coalesce(${near(days, '<', 0)} and (
    ${tasks.due_at} < ${days.now}::timestamptz or ${tasks.due_on} < ${days.today}), false))`

/** A condition that is true for all due dates in question and that an index can use. */
const near = ({ now }: Days, is: '<' | '>', days: number): SQL => {
  const margin = days * daySeconds + (is === '<' ? zoneSeconds : -zoneSeconds)
  const edge =
    typeof now === 'string'
      ? sql`${addSeconds(now, margin)}::timestamptz`
      : sql`${now}::timestamptz + ${sql.raw(`'${margin} seconds'`)}::interval`
  return sql`${dueTime(tasks)} ${sql.raw(is)} ${edge}`
}
