import { isJson, type Json } from './source.ts'

const frequencies = new Map<string, string>([
  ['daily', 'DAILY'],
  ['weekly', 'WEEKLY'],
  ['absoluteMonthly', 'MONTHLY'],
  ['relativeMonthly', 'MONTHLY'],
  ['absoluteYearly', 'YEARLY'],
  ['relativeYearly', 'YEARLY'],
])
const positions = new Map<string, number>([
  ['first', 1],
  ['second', 2],
  ['third', 3],
  ['fourth', 4],
  ['last', -1],
])

/** The recurrence of a `patternedRecurrence` (Microsoft Graph); undefined for one that RRULE does not express. */
export const graphRule = ({ pattern, range }: Json): { rrule: string } | undefined => {
  if (!isJson(pattern)) return undefined
  const { type, interval, daysOfWeek, dayOfMonth, month, firstDayOfWeek } = pattern
  const freq = frequencies.get(String(type))
  if (freq === undefined) return undefined
  const days = Array.isArray(daysOfWeek) ? daysOfWeek.map(weekday).join(',') : ''
  const isRelative = String(type).startsWith('relative')
  const isYearly = freq === 'YEARLY'
  const parts = [
    `FREQ=${freq}`,
    ...(Number(interval) > 1 ? [`INTERVAL=${interval}`] : []),
    ...(isYearly && Number(month) > 0 ? [`BYMONTH=${month}`] : []),
    ...(days !== '' && (freq === 'WEEKLY' || isRelative) ? [`BYDAY=${days}`] : []),
    ...(isRelative ? [`BYSETPOS=${positions.get(String(pattern.index)) ?? 1}`] : []),
    ...(!isRelative && Number(dayOfMonth) > 0 ? [`BYMONTHDAY=${dayOfMonth}`] : []),
    ...(freq === 'WEEKLY' && typeof firstDayOfWeek === 'string'
      ? [`WKST=${weekday(firstDayOfWeek)}`]
      : []),
    ...endOf(range),
  ]
  return { rrule: parts.join(';') }
}

const weekday = (name: unknown): string => String(name).slice(0, 2).toUpperCase()

const endOf = (range: unknown): string[] => {
  if (!isJson(range)) return []
  if (range.type === 'numbered') return [`COUNT=${range.numberOfOccurrences}`]
  return range.type === 'endDate' ? [`UNTIL=${String(range.endDate).replaceAll('-', '')}`] : []
}
