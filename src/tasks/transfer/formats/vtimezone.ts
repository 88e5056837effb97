import { now } from '../../../db/clock.ts'

/** The years before and after this one in which a time zone is described. The text stays the same for a year. */
const [yearsBefore, yearsAfter] = [5, 10]

/**
 * The lines of a VTIMEZONE (RFC 5545 §3.6.5) for a zone of the IANA database. Each change of the offset is a component of its
 * own, because zones have rules that RRULE cannot express.
 */
export const timeZoneLines = (zone: string): string[] => {
  const year = Number(now().slice(0, 4))
  const newYear = (of: number) =>
    Temporal.PlainDate.from({ year: of, month: 1, day: 1 }).toZonedDateTime(zone)
  const [first, last] = [newYear(year - yearsBefore), newYear(year + yearsAfter)]
  const lines = ['BEGIN:VTIMEZONE', `TZID:${zone}`, ...observance(first, first.offset)]
  let [change, before] = [first.getTimeZoneTransition('next'), first.offset]
  while (change !== null && Temporal.ZonedDateTime.compare(change, last) < 0) {
    lines.push(...observance(change, before))
    before = change.offset
    change = change.getTimeZoneTransition('next')
  }
  return [...lines, 'END:VTIMEZONE']
}

/** The offset from a moment on. Its start is a local time of the offset before it. */
const observance = (start: Temporal.ZonedDateTime, before: string): string[] => {
  const local = start.toInstant().toZonedDateTimeISO(before).toPlainDateTime()
  const isSummer = minutesOf(start.offset) > minutesOf(before)
  const name = isSummer ? 'DAYLIGHT' : 'STANDARD'
  return [
    `BEGIN:${name}`,
    `DTSTART:${local.toString({ smallestUnit: 'second' }).replace(/[-:]/g, '')}`,
    `TZOFFSETFROM:${before.replace(':', '')}`,
    `TZOFFSETTO:${start.offset.replace(':', '')}`,
    `END:${name}`,
  ]
}

const minutesOf = (offset: string): number => {
  const [hours = 0, minutes = 0] = offset.slice(1).split(':').map(Number)
  return (offset.startsWith('-') ? -1 : 1) * (hours * 60 + minutes)
}
