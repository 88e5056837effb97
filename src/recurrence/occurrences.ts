import { RRuleTemporal } from 'rrule-temporal'
import { candidatesMax, type Rule, weekdayOf, weekdays } from './rule.ts'
import { skippedDays } from './skipped-days.ts'

/**
 * How many periods (days, weeks, months, years) without an occurrence end the search. The longest gap that a possible rule
 * has is 40 years (29 February on one weekday, over the year 2100), and days are looked for over eight of them.
 */
const periodsMax = { DAILY: 3000, WEEKLY: 600, MONTHLY: 600, YEARLY: 60 }

/**
 * The days of a rule after a day, in their order, without COUNT and UNTIL. `start` is the first day of the series: it gives
 * the parts that the rule leaves out, and the periods that INTERVAL counts.
 *
 * The library looks for days in UTC only, because it omits times in the gap of a change to daylight saving time. It starts
 * in the period of `after`, so that a series from 1970 takes no longer than one of today.
 */
export function* daysAfter(rule: Rule, start: Temporal.PlainDate, after: Temporal.PlainDate) {
  const full = withLongPeriods(withImpliedParts(rule, start))
  const first = periodBefore(full, start, after)
  if (movesDays(full)) {
    for (const day of skippedDays({ rule: full, first }))
      if (Temporal.PlainDate.compare(day, after) > 0) yield day
    return
  }
  const lists = Object.entries({
    byDay: full.byDay,
    byMonthDay: full.byMonthDay,
    byMonth: full.byMonth,
    bySetPos: full.bySetPos,
  }).filter(([, values]) => values.length > 0)
  const found = new RRuleTemporal({
    freq: full.freq,
    interval: full.interval,
    wkst: full.wkst,
    ...Object.fromEntries(lists),
    dtstart: toMidnight(first),
    maxIterations: periodsMax[full.freq],
    maxCandidateEvaluations: candidatesMax,
    cache: false,
  })
  let last = toMidnight(after).add({ hours: 23 })
  while (true) {
    const next = nextOf(found, last)
    if (next === undefined || next.year > 9999) return
    yield next.toPlainDate()
    last = next
  }
}

/**
 * Whether the rule has an occurrence after its start; it takes less than 10 ms also if it has none. The last task before the
 * year 10000 has one too: the calendar repeats every 400 years, with its weekdays.
 */
export const isPossible = (rule: Rule, start: Temporal.PlainDate): boolean => {
  const day = start.year > 9000 ? start.subtract({ years: 2000 }) : start
  return daysAfter(rule, day, day).next().done !== true
}

/** Whether SKIP has an effect: only a month or a year has days that another one does not have. */
const movesDays = ({ freq, skip = 'OMIT', byMonthDay }: Rule): boolean =>
  skip !== 'OMIT' && byMonthDay.length > 0 && (freq === 'MONTHLY' || freq === 'YEARLY')

const nextOf = (rule: RRuleTemporal, after: Temporal.ZonedDateTime) => {
  try {
    return rule.next(after) ?? undefined
  } catch (error) {
    if (error instanceof Error && /exceeded/.test(error.message)) return undefined
    throw error
  }
}

const toMidnight = (day: Temporal.PlainDate) => day.toZonedDateTime('UTC')

/** The parts that DTSTART implies (RFC 5545 §3.3.10), so that the search can start in another period. */
const withImpliedParts = (rule: Rule, start: Temporal.PlainDate): Rule => {
  const { freq, byDay, byMonthDay, byMonth } = rule
  const hasDays = byDay.length > 0 || byMonthDay.length > 0
  if (freq === 'DAILY' || hasDays) return rule
  if (freq === 'WEEKLY') return { ...rule, byDay: [weekdayOf(start)] }
  const isWholeYear = freq === 'YEARLY' && byMonth.length === 0
  return { ...rule, byMonthDay: [start.day], byMonth: isWholeYear ? [start.month] : byMonth }
}

/** Every day of a month is a monthly rule too, whose search takes one step per month: 13 January on a Wednesday is rare. */
const withLongPeriods = (rule: Rule): Rule => {
  const { freq, interval, byMonthDay, bySetPos } = rule
  const isMonthly = freq === 'DAILY' && interval === 1 && byMonthDay.length > 0
  return isMonthly && bySetPos.length === 0 ? { ...rule, freq: 'MONTHLY' } : rule
}

/** The first day of the last period that INTERVAL counts and that begins not after the one of `after`. */
const periodBefore = (
  rule: Rule,
  start: Temporal.PlainDate,
  after: Temporal.PlainDate,
): Temporal.PlainDate => {
  const { freq, interval } = rule
  const first = firstDay(rule, start)
  const unit = ({ DAILY: 'days', WEEKLY: 'weeks', MONTHLY: 'months', YEARLY: 'years' } as const)[
    freq
  ]
  const passed = first.until(firstDay(rule, after), { largestUnit: unit })[unit]
  const counted = Math.max(0, Math.floor(passed / interval))
  return first.add({ [unit]: counted * interval })
}

/** The first day of the period that a day is in. */
const firstDay = ({ freq, wkst }: Rule, day: Temporal.PlainDate): Temporal.PlainDate => {
  if (freq === 'DAILY') return day
  if (freq === 'MONTHLY') return day.with({ day: 1 })
  if (freq === 'YEARLY') return day.with({ month: 1, day: 1 })
  return day.subtract({ days: (day.dayOfWeek - 1 - weekdays.indexOf(wkst) + 7) % 7 })
}
