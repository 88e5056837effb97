const rfc3339 =
  /^(\d{4})-(\d\d)-(\d\d)[Tt](\d\d):(\d\d):(\d\d)(?:\.(\d{1,3})\d*)?(?:[Zz]|([+-])(\d\d):(\d\d))$/

/**
 * The form that is stored and returned, for days that every such month has (29 February needs a `Date`). Checking
 * each with a `Date` took 13 % of the time of a page of 20 tasks.
 */
const canonical =
  /^(?!0000)\d{4}-(?:(?:0[1-9]|1[0-2])-(?:0[1-9]|1\d|2[0-8])|(?:0[13-9]|1[0-2])-(?:29|30)|(?:0[13578]|1[02])-31)T(?:[01]\d|2[0-3]):[0-5]\d:[0-5]\d\.\d{3}Z$/

/**
 * The same time in UTC with milliseconds; undefined if it is not RFC 3339 or not in the years 0001 to 9999. Fraction
 * digits after the third are truncated: Python sends six. PostgreSQL accepts less, for example not the offset +23:59.
 */
export const toUtc = (text: string | null | undefined): string | undefined => {
  if (text && canonical.test(text)) return text
  const [, year, month, day, hour, minute, second, fraction = '', sign, offsetHour, offsetMinute] =
    rfc3339.exec(text ?? '') ?? []
  if (Number(hour) > 23 || Number(minute) > 59 || Number(second) > 59) return undefined
  if (Number(offsetHour ?? 0) > 23 || Number(offsetMinute ?? 0) > 59) return undefined

  const local = `${year}-${month}-${day}T${hour}:${minute}:${second}.${fraction.padEnd(3, '0')}Z`
  const date = new Date(local)
  if (Number.isNaN(date.getTime()) || date.toISOString() !== local) return undefined

  const offset = (Number(offsetHour ?? 0) * 60 + Number(offsetMinute ?? 0)) * 60_000
  const utc = new Date(date.getTime() - (sign === '-' ? -offset : offset)).toISOString()
  return /^(?!0000)\d{4}-/.test(utc) ? utc : undefined
}

const parts = /^\d{4}-\d\d-\d\d(?:[Tt]\d\d:\d\d(:\d\d(?:\.\d+)?)?([Zz]|[+-]\d\d:\d\d)?)?$/

/** Why `toUtc` refuses a text: the first part that is missing, otherwise what a time looks like. */
export const explainInvalidTimestamp = (text: string): string => {
  const [matched = '', seconds, zone] = parts.exec(text) ?? []
  if (matched.length === '2026-12-24'.length) return 'must have a time, such as T18:00:00Z'
  if (matched !== '' && zone === undefined) return 'must have a time zone, such as Z or +02:00'
  if (matched !== '' && seconds === undefined) return 'must have seconds, such as 18:00:00Z'
  return 'must be an RFC 3339 date-time in the years 0001 to 9999'
}
