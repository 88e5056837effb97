import { Task } from '../../task/schema.ts'

/** All members of a task, in their order; a list as a JSON array. */
const columns = Object.keys(Task.properties) as (keyof Task)[]

export const csvHeader = `${columns.join(',')}\r\n`

/**
 * RFC 4180. Null is nothing at all, empty text `""`.
 *
 * A spreadsheet takes a cell that begins with one of `= + - @` (full-width too), a tab or a line
 * break for a formula (OWASP, CSV injection): such text gets an apostrophe before it, and so does text
 * that begins with apostrophes and then one of these, so that taking one off gives back
 * what there was.
 */
export const csvRecord = (task: Task): string =>
  `${columns.map((column) => cell(task[column])).join(',')}\r\n`

const risky = /^'*[=+\-@＝＋－＠\t\r\n]/
const escaped = /^''*[=+\-@＝＋－＠\t\r\n]/

const cell = (value: Task[keyof Task]): string => {
  if (value === null) return ''
  if (typeof value !== 'string')
    return quoted(Array.isArray(value) ? JSON.stringify(value) : `${value}`)
  return value === '' ? '""' : quoted(risky.test(value) ? `'${value}` : value)
}

const quoted = (text: string): string =>
  /[",\r\n]|^\s|\s$/.test(text) ? `"${text.replaceAll('"', '""')}"` : text

/** The text that a cell stands for. */
export const unescapeCell = (text: string): string => (escaped.test(text) ? text.slice(1) : text)
