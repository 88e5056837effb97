import type { Task } from '../../task/schema.ts'

/** RFC 5545: VTODO components with times in UTC. */
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

/** One task as a VTODO. */
export const calendarRecord = (task: Task): string => {
  const tags = task.tags.map(escapeText).join(',')
  const lines = [
    'BEGIN:VTODO',
    `UID:${task.id}`,
    `DTSTAMP:${utc(task.updated_at)}`,
    `CREATED:${utc(task.created_at)}`,
    `LAST-MODIFIED:${utc(task.updated_at)}`,
    `SEQUENCE:${task.version - 1}`,
    `SUMMARY:${escapeText(task.title)}`,
    ...(task.description === null ? [] : [`DESCRIPTION:${escapeText(task.description)}`]),
    ...(task.due_at === null ? [] : [`DUE:${utc(task.due_at)}`]),
    ...(task.due_on === null ? [] : [`DUE;VALUE=DATE:${task.due_on.replaceAll('-', '')}`]),
    `PRIORITY:${priorities[task.priority]}`,
    `STATUS:${task.completed ? 'COMPLETED' : 'NEEDS-ACTION'}`,
    ...(task.completed_at === null ? [] : [`COMPLETED:${utc(task.completed_at)}`]),
    ...(tags === '' ? [] : [`CATEGORIES:${tags}`]),
    'END:VTODO',
  ]
  return lines.map((line) => `${fold(line)}\r\n`).join('')
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
