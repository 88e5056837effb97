import { daysAfter } from './occurrences.ts'
import { parseRule, type Rule, type Until, withCount } from './rule.ts'

/** When a task is due: at a time, or on a day. */
export type Due = { due_at: string; due_on: null } | { due_at: null; due_on: string }

export type StoredRecurrence = { rrule: string; time_zone: string; from: 'due' | 'completion' }

/**
 * The local start of the series (`2026-01-31T02:30:00`), as long as the task is due when its series says. It keeps what one
 * occurrence cannot: a time in the gap of a change to daylight saving time, and the 31st of a series that skips backward.
 */
export type SeriesStart = { local: string; due: string }

/** The next task of a series. */
export type Successor = Due & { recurrence: StoredRecurrence; series_start: SeriesStart }

type Completed = Due & { recurrence: StoredRecurrence; series_start: SeriesStart | null }

/**
 * The task that follows a completed one: the first occurrence after now, and after the task itself; null if the series
 * ends. `now` is the time of the completion.
 *
 * Days are found in the zone of the recurrence. The time of day stays the same there. In the gap of a change to daylight
 * saving time it moves behind the gap; of two times it is the earlier one (RFC 5545 §3.3.5).
 */
export const successorOf = (task: Completed, now: string): Successor | null => {
  const { recurrence } = task
  const rule = parseRule(recurrence.rrule)
  if ('mismatch' in rule) return null
  const clock = Temporal.Instant.from(now).toZonedDateTimeISO(recurrence.time_zone)
  const start = startOf(task)
  const isOfCompletion = recurrence.from === 'completion'
  const today = clock.toPlainDate()
  const [first, after] = isOfCompletion ? [today, today] : [start.toPlainDate(), dayOf(task)]

  let passed = 1
  for (const day of daysAfter(rule, first, earliest(rule, after, today))) {
    const next = toDue(task, day, start.toPlainTime())
    if (isAfterYear9999(next)) return null
    if (rule.until !== undefined && isAfterUntil(next, rule.until, recurrence.time_zone))
      return null
    if (rule.count !== undefined && passed >= rule.count) return null
    if (isLate(next, task, clock, isOfCompletion)) {
      passed++
      continue
    }
    const left = (rule.count ?? passed) - passed
    return {
      ...next,
      recurrence: { ...recurrence, rrule: withCount(recurrence.rrule, left) },
      series_start: {
        local: `${(isOfCompletion ? day : first).toPlainDateTime(start.toPlainTime())}`,
        due: next.due_at ?? next.due_on,
      },
    }
  }
  return null
}

/** A rule with COUNT has to count the occurrences that are already late. Others need not look at them. */
const earliest = (rule: Rule, after: Temporal.PlainDate, today: Temporal.PlainDate) => {
  const yesterday = today.subtract({ days: 2 })
  const isLongAgo = rule.count === undefined && Temporal.PlainDate.compare(after, yesterday) < 0
  return isLongAgo ? yesterday : after
}

const startOf = (task: Completed): Temporal.PlainDateTime => {
  const { due_at, due_on, recurrence, series_start } = task
  if (series_start !== null && series_start.due === (due_at ?? due_on))
    return Temporal.PlainDateTime.from(series_start.local)
  return due_at === null
    ? Temporal.PlainDate.from(due_on).toPlainDateTime()
    : Temporal.Instant.from(due_at).toZonedDateTimeISO(recurrence.time_zone).toPlainDateTime()
}

/** The day of a task in the zone of its recurrence. */
const dayOf = ({ due_at, due_on, recurrence }: Completed): Temporal.PlainDate =>
  due_at === null
    ? Temporal.PlainDate.from(due_on)
    : Temporal.Instant.from(due_at).toZonedDateTimeISO(recurrence.time_zone).toPlainDate()

const toDue = (
  { due_at, recurrence }: Completed,
  day: Temporal.PlainDate,
  time: Temporal.PlainTime,
): Due => {
  if (due_at === null) return { due_at: null, due_on: `${day}` }
  const { epochMilliseconds } = day.toZonedDateTime({
    timeZone: recurrence.time_zone,
    plainTime: time,
  })
  return { due_at: new Date(epochMilliseconds).toISOString(), due_on: null }
}

/** The last day of the year 9999 is in the year 10000 of UTC, behind UTC. */
const isAfterYear9999 = ({ due_at }: Due): boolean => due_at?.startsWith('+') === true

const isLate = (
  next: Due,
  task: Completed,
  clock: Temporal.ZonedDateTime,
  isOfCompletion: boolean,
) => {
  if (next.due_at === null) return next.due_on <= `${clock.toPlainDate()}`
  const at = Date.parse(next.due_at)
  return at <= clock.epochMilliseconds || (!isOfCompletion && at <= Date.parse(task.due_at ?? ''))
}

const isAfterUntil = (next: Due, until: Until, zone: string): boolean => {
  if (next.due_at === null) return next.due_on > lastDay(until, zone)
  const local = Temporal.Instant.from(next.due_at).toZonedDateTimeISO(zone)
  if ('day' in until) return `${local.toPlainDate()}` > until.day
  const last =
    'instant' in until
      ? Temporal.Instant.from(until.instant)
      : Temporal.PlainDateTime.from(until.local).toZonedDateTime(zone).toInstant()
  return Temporal.Instant.compare(local.toInstant(), last) > 0
}

const lastDay = (until: Until, zone: string): string => {
  if ('day' in until) return until.day
  if ('local' in until) return until.local.slice(0, 10)
  return `${Temporal.Instant.from(until.instant).toZonedDateTimeISO(zone).toPlainDate()}`
}
