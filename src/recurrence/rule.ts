/*
 * Recurrence rules: the RRULE of RFC 5545 §3.3.10, with the RSCALE and SKIP of RFC 7529, in the parts that make sense
 * for tasks.
 */

const frequencies = ['DAILY', 'WEEKLY', 'MONTHLY', 'YEARLY'] as const
export const weekdays = ['MO', 'TU', 'WE', 'TH', 'FR', 'SA', 'SU'] as const
const skips = ['OMIT', 'BACKWARD', 'FORWARD'] as const

/** The weekday of a day, as BYDAY names it. */
export const weekdayOf = ({ dayOfWeek }: Temporal.PlainDate): Rule['wkst'] =>
  weekdays[dayOfWeek - 1] ?? 'MO'

/** A day; or a time, in UTC or in the zone of the recurrence. */
export type Until = { day: string } | { instant: string } | { local: string }

/** The parts of a rule. Absent lists are empty. */
export type Rule = {
  freq: (typeof frequencies)[number]
  interval: number
  /** `MO`, or the second Monday of the month or year: `2MO`; `-1MO` is the last one. */
  byDay: string[]
  byMonthDay: number[]
  byMonth: number[]
  bySetPos: number[]
  wkst: (typeof weekdays)[number]
  count?: number
  until?: Until
  skip?: (typeof skips)[number]
}

/** The most that a rule may count and skip, so that the search for an occurrence takes a bounded time. */
const countMax = 1000
const intervalMax = 1000

/**
 * How many days the search for an occurrence looks at. BYSETPOS=366 looks at all days of up to eight years, for a leap year.
 */
export const candidatesMax = 8000

/** The rule of a text; or what is wrong with it. */
export const parseRule = (text: string): Rule | { mismatch: string } => {
  if (!text.includes('=')) return { mismatch: 'must be an RRULE, such as FREQ=WEEKLY;BYDAY=MO' }
  const parts = new Map<string, string>()
  for (const part of text.toUpperCase().split(';')) {
    const [name = '', value, ...rest] = part.split('=')
    if (value === undefined || rest.length > 0) return { mismatch: 'has a part without a value' }
    if (parts.has(name)) return { mismatch: 'has a part twice' }
    parts.set(name, value)
  }
  const problems: string[] = []
  const read = <T>(name: string, reader: (value: string) => T | undefined, accepted: string) => {
    const value = parts.get(name)
    parts.delete(name)
    if (value === undefined) return undefined
    const found = reader(value)
    if (found === undefined) problems.push(`${name} must be ${accepted}`)
    return found
  }
  const several = (name: string, reader: (value: string) => number | undefined, accepted: string) =>
    read(name, (value) => everyOf(value, reader), accepted) ?? []

  const freq = read('FREQ', oneOf(frequencies), 'DAILY, WEEKLY, MONTHLY or YEARLY')
  const rule = {
    interval: read('INTERVAL', numberIn(1, intervalMax), `from 1 to ${intervalMax}`) ?? 1,
    byDay:
      read('BYDAY', (value) => everyOf(value, toWeekday), 'weekdays such as MO,FR or -1SU') ?? [],
    byMonthDay: several('BYMONTHDAY', signedIn(31), 'days from 1 to 31, or from -31 to -1'),
    byMonth: several('BYMONTH', numberIn(1, 12), 'months from 1 to 12'),
    bySetPos: several('BYSETPOS', signedIn(366), 'from 1 to 366, or from -366 to -1'),
    wkst: read('WKST', oneOf(weekdays), 'a weekday') ?? ('MO' as const),
    count: read('COUNT', numberIn(1, countMax), `from 1 to ${countMax}`),
    until: read('UNTIL', toUntil, 'a day such as 20261224, or a time such as 20261224T180000Z'),
  }
  const hasScale = parts.has('RSCALE')
  read('RSCALE', oneOf(['GREGORIAN']), 'GREGORIAN')
  const skip = read('SKIP', oneOf(skips), 'OMIT, BACKWARD or FORWARD')
  if (skip !== undefined && !hasScale) problems.push('SKIP requires RSCALE=GREGORIAN')

  if (parts.size > 0) return { mismatch: 'has a part that is not supported' }
  if (freq === undefined) return { mismatch: problems[0] ?? 'must have a FREQ' }
  const [mismatch] = [...problems, ...contradictions({ ...rule, freq, skip })]
  if (mismatch !== undefined) return { mismatch }
  const { count, until, ...others } = rule
  return {
    freq,
    ...others,
    ...(count !== undefined && { count }),
    ...(until !== undefined && { until }),
    ...(skip !== undefined && { skip }),
  }
}

/** The text with another COUNT. */
export const withCount = (text: string, count: number): string =>
  text.replace(/(^|;)COUNT=\d+/i, `$1COUNT=${count}`)

/** The text with another INTERVAL. */
export const withInterval = (text: string, interval: number): string =>
  text.replace(/(^|;)INTERVAL=\d+/i, `$1INTERVAL=${interval}`)

/** Combinations that RFC 5545 forbids, and days that no month has. */
type Parts = { [Name in keyof Rule]: Rule[Name] | undefined } & Omit<
  Rule,
  'count' | 'until' | 'skip'
>

const contradictions = (rule: Parts): string[] => {
  const { freq, byDay, byMonthDay, byMonth, bySetPos, count, until } = rule
  const ordinals = byDay.map((day) => Math.abs(Number.parseInt(day, 10))).filter((nth) => nth > 0)
  const isOfMonth = freq === 'MONTHLY' || byMonth.length > 0
  const problems: [boolean, string][] = [
    [count !== undefined && until !== undefined, 'must not have COUNT and UNTIL'],
    [
      ordinals.length > 0 && freq !== 'MONTHLY' && freq !== 'YEARLY',
      'BYDAY must not have numbers with this FREQ',
    ],
    [
      ordinals.length > 0 && byMonthDay.length > 0 && (rule.skip ?? 'OMIT') !== 'OMIT',
      'BYDAY must not have numbers with BYMONTHDAY and SKIP',
    ],
    [isOfMonth && ordinals.some((nth) => nth > 5), 'BYDAY has a weekday that no month has'],
    [freq === 'WEEKLY' && byMonthDay.length > 0, 'BYMONTHDAY must not occur with FREQ=WEEKLY'],
    [
      bySetPos.length > 0 && byDay.length + byMonthDay.length + byMonth.length === 0,
      'BYSETPOS requires another BY part',
    ],
    [
      byMonth.length > 0 &&
        byMonthDay.length > 0 &&
        (rule.skip ?? 'OMIT') === 'OMIT' &&
        !byMonth.some((month) => byMonthDay.some((day) => Math.abs(day) <= longest(month))),
      'matches no day: no month of BYMONTH has a day of BYMONTHDAY',
    ],
  ]
  return problems.filter(([applies]) => applies).map(([, problem]) => problem)
}

const longest = (month: number): number =>
  month === 2 ? 29 : [4, 6, 9, 11].includes(month) ? 30 : 31

const oneOf =
  <const T extends string>(values: readonly T[]) =>
  (value: string): T | undefined =>
    values.find((one) => one === value)

const numberIn = (minimum: number, maximum: number) => (value: string) => {
  const number = /^\d{1,9}$/.test(value) ? Number(value) : Number.NaN
  return number >= minimum && number <= maximum ? number : undefined
}

const signedIn = (maximum: number) => (value: string) => {
  const number = numberIn(1, maximum)(value.replace(/^[+-]/, ''))
  return number !== undefined && value.startsWith('-') ? -number : number
}

/** `MO` or `-1SU`; a plus sign is left out. */
const toWeekday = (value: string): string | undefined => {
  const [, sign = '', nth, day] = /^([+-]?)(\d{1,2})?(MO|TU|WE|TH|FR|SA|SU)$/.exec(value) ?? []
  if (day === undefined || (nth === undefined && sign !== '')) return undefined
  if (nth === undefined) return day
  return Number(nth) >= 1 && Number(nth) <= 53
    ? `${sign === '-' ? '-' : ''}${Number(nth)}${day}`
    : undefined
}

const everyOf = <T>(value: string, reader: (one: string) => T | undefined): T[] | undefined => {
  const values = value.split(',').map(reader)
  return values.every((one) => one !== undefined) ? [...new Set(values)] : undefined
}

const toUntil = (value: string): Until | undefined => {
  const [, year, month, day, time, hour, minute, second, utc] =
    /^(\d{4})(\d\d)(\d\d)(T(\d\d)(\d\d)(\d\d)(Z?))?$/.exec(value) ?? []
  const date = `${year}-${month}-${day}`
  const local = `${date}T${hour ?? '00'}:${minute ?? '00'}:${second ?? '00'}`
  try {
    Temporal.PlainDateTime.from(local, { overflow: 'reject' })
  } catch {
    return undefined
  }
  if (time === undefined) return { day: date }
  return utc ? { instant: `${local}Z` } : { local }
}
