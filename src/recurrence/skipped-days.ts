import { candidatesMax, type Rule, weekdayOf } from './rule.ts'

type Period = { rule: Rule; first: Temporal.PlainDate }

/**
 * The days of a monthly or yearly rule with BYMONTHDAY and SKIP (RFC 7529), from its period `first`. A day that its month
 * does not have becomes the last valid day before it, or the first one after it. rrule-temporal 2.2.8 applies SKIP
 * only to the day of DTSTART, not to BYMONTHDAY.
 */
export function* skippedDays({ rule, first }: Period) {
  let last: Temporal.PlainDate | undefined
  let period = first
  let looked = 0
  while (looked < candidatesMax && period.year <= 9999) {
    looked += rule.byMonthDay.length * (rule.freq === 'YEARLY' ? 12 : 1)
    for (const day of daysOfPeriod(rule, period)) {
      // With SKIP=FORWARD, the first day of a month may also be the 31st of the month before.
      if (last !== undefined && Temporal.PlainDate.compare(day, last) <= 0) continue
      yield day
      last = day
      looked = 0
    }
    period = period.add(
      rule.freq === 'YEARLY' ? { years: rule.interval } : { months: rule.interval },
    )
  }
}

const daysOfPeriod = (rule: Rule, period: Temporal.PlainDate): Temporal.PlainDate[] => {
  const { freq, byMonth, byMonthDay, byDay, bySetPos } = rule
  const months = freq === 'MONTHLY' ? [period] : twelve.map((month) => period.with({ month }))
  const days = months
    .filter(({ month }) => byMonth.length === 0 || byMonth.includes(month))
    .flatMap((month) => byMonthDay.map((day) => dayOfMonth(month, day, rule.skip === 'FORWARD')))
    .filter((day) => byDay.length === 0 || byDay.includes(weekdayOf(day)))
    .sort(Temporal.PlainDate.compare)
    .filter((day, at, all) => at === 0 || !all[at - 1]?.equals(day))
  if (bySetPos.length === 0) return days
  const selected = new Set(bySetPos.map((nth) => (nth > 0 ? nth - 1 : days.length + nth)))
  return days.filter((_, at) => selected.has(at))
}

const twelve = Array.from({ length: 12 }, (_, at) => at + 1)
/** `first` is the first day of the month; a negative number counts from the end of the month. */
const dayOfMonth = (first: Temporal.PlainDate, nth: number, isForward: boolean) => {
  const day = nth > 0 ? nth : first.daysInMonth + 1 + nth
  if (day > first.daysInMonth) return first.add({ days: first.daysInMonth - (isForward ? 0 : 1) })
  return day < 1 ? first.subtract({ days: isForward ? 0 : 1 }) : first.with({ day })
}
