const rfc3339 =
  /^(\d{4})-(\d\d)-(\d\d)[Tt](\d\d):(\d\d):(\d\d)(?:\.(\d{1,3}))?(?:[Zz]|([+-])(\d\d):(\d\d))$/

/**
 * The same instant in UTC with milliseconds, or nothing where it is none of the years 0001 to 9999. PostgreSQL takes less: not +23:59.
 */
export const toUtc = (text: string | null | undefined): string | undefined => {
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
