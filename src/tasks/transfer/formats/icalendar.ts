import type { Task } from '../../task/schema.ts'

/** RFC 5545: VTODOs in UTC. */
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
  const tags = task.tags.map(escaped).join(',')
  const lines = [
    'BEGIN:VTODO',
    `UID:${task.id}`,
    `DTSTAMP:${utc(task.updated_at)}`,
    `CREATED:${utc(task.created_at)}`,
    `LAST-MODIFIED:${utc(task.updated_at)}`,
    `SEQUENCE:${task.version - 1}`,
    `SUMMARY:${escaped(task.title)}`,
    ...(task.description === null ? [] : [`DESCRIPTION:${escaped(task.description)}`]),
    ...(task.due_at === null ? [] : [`DUE:${utc(task.due_at)}`]),
    `PRIORITY:${priorities[task.priority]}`,
    `STATUS:${task.completed ? 'COMPLETED' : 'NEEDS-ACTION'}`,
    ...(task.completed_at === null ? [] : [`COMPLETED:${utc(task.completed_at)}`]),
    ...(tags === '' ? [] : [`CATEGORIES:${tags}`]),
    'END:VTODO',
  ]
  return lines.map((line) => `${folded(line)}\r\n`).join('')
}

/** `2026-12-24T18:00:00.000Z` → `20261224T180000Z`: a form without fractions (§3.3.5). */
const utc = (instant: string): string => `${instant.slice(0, 19).replace(/[-:]/g, '')}Z`

/** §3.3.11; control characters that a calendar may not hold are left out (§3.1). */
const escaped = (text: string): string =>
  text
    .replace(/[\\;,]/g, '\\$&')
    .replace(/\r\n|\r|\n/g, '\\n')
    // biome-ignore lint/suspicious/noControlCharactersInRegex: they are what is to go
    .replace(/[\u0000-\u0008\u000b-\u001f\u007f]/g, '')

const octetsMax = 75

/** §3.1: lines of 75 octets at most, never broken within a character; a space begins what goes on. */
const folded = (line: string): string => {
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
