import type { Task } from '../../task/schema.ts'
import { alarmLines } from './calendar-alarms.ts'
import { timeZoneLines } from './vtimezone.ts'

/** RFC 5545: VTODO components with times in UTC; those of a recurrence are in its zone. */
export const calendarHead = [
  'BEGIN:VCALENDAR',
  'VERSION:2.0',
  'PRODID:-//Taskwarden//Taskwarden//EN',
  'CALSCALE:GREGORIAN',
  '',
].join('\r\n')
export const calendarFoot = 'END:VCALENDAR\r\n'

/** RFC 5545 §3.8.1.9: 1 is the highest, 5 the middle, 9 the lowest. */
const priorities = { urgent: 1, high: 3, normal: 5, low: 9 } satisfies Record<
  Task['priority'],
  number
>

/** Returns a function that writes a task as a VTODO, after the VTIMEZONE that the calendar does not have yet. */
export const createCalendarRecord = () => {
  const described = new Set<string>(['UTC'])
  return (task: Task): string => {
    const zone = isRepeated(task) && task.due_at !== null ? task.recurrence.time_zone : 'UTC'
    const zoneLines = described.has(zone) ? [] : timeZoneLines(zone)
    described.add(zone)
    return [...zoneLines, ...taskLines(task)].map((line) => `${fold(line)}\r\n`).join('')
  }
}

type Recurring = Task & { recurrence: NonNullable<Task['recurrence']> }

/** Whether more tasks will follow: a completed one keeps its rule as history. */
const isRepeated = (task: Task): task is Recurring => !task.completed && task.recurrence !== null

/**
 * When a task is due, and how it repeats. A rule counts from DTSTART, in local time, so that the time of day stays the same
 * over daylight saving time.
 */
const dueLines = (task: Task): string[] => {
  const { due_at, due_on } = task
  const day = due_on === null ? undefined : `;VALUE=DATE:${due_on.replaceAll('-', '')}`
  if (!isRepeated(task))
    return due_at === null ? (day ? [`DUE${day}`] : []) : [`DUE:${utc(due_at)}`]
  const { rrule, time_zone } = task.recurrence
  const time = due_at === null ? '' : localTime(due_at, time_zone)
  return [`DTSTART${day ?? time}`, `DUE${day ?? time}`, `RRULE:${rrule.toUpperCase()}`]
}

const localTime = (due_at: string, zone: string): string => {
  if (zone === 'UTC') return `:${utc(due_at)}`
  const local = Temporal.Instant.from(due_at).toZonedDateTimeISO(zone).toPlainDateTime()
  return `;TZID=${zone}:${local.toString({ smallestUnit: 'second' }).replace(/[-:]/g, '')}`
}

const taskLines = (task: Task): string[] => {
  const tags = task.tags.map(escapeText).join(',')
  return [
    'BEGIN:VTODO',
    `UID:${task.id}`,
    `DTSTAMP:${utc(task.updated_at)}`,
    `CREATED:${utc(task.created_at)}`,
    `LAST-MODIFIED:${utc(task.updated_at)}`,
    `SEQUENCE:${task.version - 1}`,
    `SUMMARY:${escapeText(task.title)}`,
    ...(task.description === null ? [] : [`DESCRIPTION:${escapeText(task.description)}`]),
    ...dueLines(task),
    `PRIORITY:${priorities[task.priority]}`,
    `STATUS:${task.completed ? 'COMPLETED' : 'NEEDS-ACTION'}`,
    ...(task.completed_at === null ? [] : [`COMPLETED:${utc(task.completed_at)}`]),
    ...(tags === '' ? [] : [`CATEGORIES:${tags}`]),
    ...alarmLines(task, utc, escapeText(task.title)),
    'END:VTODO',
  ]
}

/** `2026-12-24T18:00:00.000Z` → `20261224T180000Z`, without a fraction (§3.3.5). */
const utc = (timestamp: string): string => `${timestamp.slice(0, 19).replace(/[-:]/g, '')}Z`

/** Escapes text (§3.3.11), and drops control characters that a calendar must not contain (§3.1). */
const escapeText = (text: string): string =>
  text
    .replace(/[\\;,]/g, '\\$&')
    .replace(/\r\n|\r|\n/g, '\\n')
    // biome-ignore lint/suspicious/noControlCharactersInRegex: they are removed here
    .replace(/[\u0000-\u0008\u000b-\u001f\u007f]/g, '')

const octetsMax = 75

/** Folds lines at 75 octets without splitting a character; a continuation starts with a space (§3.1). */
const fold = (line: string): string => {
  const lines: string[] = []
  let current = ''
  let octets = 0
  for (const character of line) {
    const size = Buffer.byteLength(character)
    if (octets + size > octetsMax) {
      lines.push(current)
      current = ' '
      octets = 1
    }
    current += character
    octets += size
  }
  return [...lines, current].join('\r\n')
}
