import { Task } from '../../task/schema.ts'
import type { ExportedTask } from '../repository.ts'

/** All members of a Task in their order, and the name of its list. Tags and a recurrence are JSON. */
const columns = [...Object.keys(Task.properties), 'list'] as (keyof ExportedTask)[]

export const csvHeader = `${columns.join(',')}\r\n`

/**
 * A record of RFC 4180. Null is an empty cell, empty text is `""`.
 *
 * Spreadsheets run a cell that starts with `= + - @` (also full-width), a tab or a line break as a formula (OWASP, CSV
 * injection). Such text is prefixed with an apostrophe. Text that already starts with apostrophes and one of these is
 * prefixed too, so that removing one apostrophe restores the text.
 */
export const csvRecord = (task: ExportedTask): string =>
  `${columns.map((column) => cell(task[column])).join(',')}\r\n`

const risky = /^'*[=+\-@＝＋－＠\t\r\n]/
const escaped = /^''*[=+\-@＝＋－＠\t\r\n]/

const cell = (value: ExportedTask[keyof ExportedTask]): string => {
  if (value === null) return ''
  if (typeof value !== 'string')
    return quoted(typeof value === 'object' ? JSON.stringify(value) : `${value}`)
  return value === '' ? '""' : quoted(risky.test(value) ? `'${value}` : value)
}

const quoted = (text: string): string =>
  /[",\r\n]|^\s|\s$/.test(text) ? `"${text.replaceAll('"', '""')}"` : text

/** Removes the apostrophe that `csvRecord` adds. */
export const unescapeCell = (text: string): string => (escaped.test(text) ? text.slice(1) : text)
