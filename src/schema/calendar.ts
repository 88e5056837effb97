import { toUtc } from './timestamp.ts'

/** Whether a text is a day of the years 0001 to 9999 in the form of RFC 3339 (`2026-12-24`). */
export const isDay = (text: string): boolean =>
  /^\d{4}-\d\d-\d\d$/.test(text) && toUtc(`${text}T00:00:00.000Z`) !== undefined

/** The spelling of a time zone in the IANA database; undefined for other text, also for offsets such as `+02:00`. */
export const toTimeZone = (text: string): string | undefined => {
  if (!/^[A-Za-z][A-Za-z0-9_+\-/]{0,49}$/.test(text)) return undefined
  try {
    return Temporal.Instant.fromEpochMilliseconds(0).toZonedDateTimeISO(text).timeZoneId
  } catch {
    return undefined
  }
}
