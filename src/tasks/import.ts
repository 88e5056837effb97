import { Kind, type Static, type TSchema } from '@sinclair/typebox'
import { checkOf } from '../checks.ts'
import { type Issue, Refusal, refuse } from '../errors.ts'
import { issuesIn } from '../http/issues.ts'
import { toUtc } from '../instants.ts'
import { TextBody } from '../shapes.ts'
import { ImportedTask } from './bulk-model.ts'
import { inUtc } from './fields.ts'
import { uncell } from './formats/csv.ts'
import type { ImportedRow } from './transfer-repository.ts'

/** One record of an import, and where it stands: `/tasks/6`, or the line where it starts: `/line/7`. */
type Record = { pointer: string; value: unknown; unreadable?: string }

const members: { [name: string]: TSchema } = ImportedTask.properties
const imported = checkOf(ImportedTask)
const issuesMax = 100
/** How many records are checked before other requests get a turn. */
const recordsAtOnce = 2000

/**
 * The rows of an import, every one of them good; else 422 with what is wrong with each bad one,
 * a hundred at most, or 413 where there are too many.
 */
export const rowsOf = async (
  body: unknown,
  rowsMax: number,
  now: string,
): Promise<ImportedRow[]> => {
  const records = await recordsOf(body)
  if (records.length > rowsMax) refuse('body-too-large')

  const rows: Omit<ImportedRow, 'id'>[] = []
  const issues: Issue[] = []
  for (const [at, record] of records.entries()) {
    if (at % recordsAtOnce === recordsAtOnce - 1) await Bun.sleep(0)
    const wrong = issuesOf(record)
    if (wrong.length === 0) rows.push(rowOf(record.value as Static<typeof ImportedTask>, now))
    issues.push(...wrong.slice(0, issuesMax - issues.length))
    if (issues.length >= issuesMax) break
  }
  if (issues.length > 0) throw new Refusal('invalid-request', { errors: issues })
  return withIds(rows)
}

const recordsOf = async (body: unknown): Promise<Record[]> => {
  if (!(body instanceof TextBody)) return fromJson(body)
  return body.type === 'text/csv' ? fromCsv(body.text) : fromLines(body.text)
}

const wrongBody = (detail: string, pointer = '') =>
  refuse('invalid-request', { errors: [{ in: 'body', pointer, detail }] })

const fromJson = (body: unknown): Record[] => {
  if (typeof body !== 'object' || body === null || Array.isArray(body))
    return wrongBody('must be an object')
  const { tasks, ...others } = body as { tasks?: unknown }
  const [unknown] = Object.keys(others)
  if (unknown !== undefined) return wrongBody('is not a known member', `/${unknown.slice(0, 100)}`)
  if (!Array.isArray(tasks)) return wrongBody('must be an array', '/tasks')
  return tasks.map((value, at) => ({ pointer: `/tasks/${at}`, value }))
}

const fromLines = (text: string): Record[] =>
  text.split('\n').flatMap((line, at) => {
    const pointer = `/line/${at + 1}`
    if (line.trim() === '') return []
    try {
      return [{ pointer, value: JSON.parse(line) }]
    } catch {
      return [{ pointer, value: undefined, unreadable: 'is not JSON' }]
    }
  })

type Cell = { text: string; isQuoted: boolean }

/** RFC 4180; a cell is null where nothing stands there, and empty text where `""` does. */
const fromCsv = async (text: string): Promise<Record[]> => {
  const [header, ...records] = await csvRows(text)
  const names = header?.cells.map((cell) => cell.text) ?? []
  if (!names.includes('title')) return wrongBody('must name the column title', '/line/1')
  const unknown = names.findIndex((name) => !Object.hasOwn(ImportedTask.properties, name))
  if (unknown !== -1) return wrongBody(`column ${unknown + 1} is not known`, '/line/1')
  if (new Set(names).size < names.length) return wrongBody('must not repeat a column', '/line/1')

  return records.map(({ cells, line }) => {
    const pointer = `/line/${line}`
    if (cells.length !== names.length)
      return { pointer, value: undefined, unreadable: `must have ${names.length} cells` }
    const members = cells.flatMap((cell, at) => memberOf(names[at] ?? '', cell))
    return { pointer, value: Object.fromEntries(members) }
  })
}

/** What `info` and `cast` make of a record. */
type CsvRow = { record: Cell[]; info: { bytes: number } }

const csvRows = async (text: string): Promise<{ cells: Cell[]; line: number }[]> => {
  // Loaded when the first CSV comes.
  const { CsvError, parse } = await import('csv-parse/sync')
  const options = {
    bom: true,
    info: true,
    relax_column_count: true,
    skip_empty_lines: true,
    record_delimiter: ['\r\n', '\n'],
    cast: (text: string, { quoting }: { quoting: boolean }): Cell => ({ text, isQuoted: quoting }),
  }
  try {
    const rows: unknown[] = parse(text, options)
    const lineAt = linesOf(text)
    let end = 0
    return (rows as CsvRow[]).map(({ record, info }) => {
      const line = lineAt(end)
      end = info.bytes
      return { cells: record, line }
    })
  } catch (error) {
    if (error instanceof CsvError) return wrongBody('is not CSV (RFC 4180)', `/line/${error.lines}`)
    throw error
  }
}

const [cr, lf] = [13, 10]

/**
 * The line of what follows a byte, blank lines skipped; asked for bytes in their order. The
 * parser's own count takes a CRLF within quotes for two lines.
 */
const linesOf = (text: string) => {
  const bytes = Buffer.from(text)
  let [at, line] = [0, 1]
  return (end: number): number => {
    while (at < bytes.length && (at < end || bytes[at] === cr || bytes[at] === lf))
      if (bytes[at++] === lf) line += 1
    return line
  }
}

const memberOf = (name: string, { text, isQuoted }: Cell): [string, unknown][] => {
  if (text === '' && !isQuoted) return []
  const schema = members[name]
  const types: unknown[] = [schema?.type].flat()
  if (schema?.[Kind] === 'Text') return [[name, uncell(text)]]
  if (types.includes('boolean'))
    return [[name, text === 'true' || (text === 'false' ? false : text)]]
  return [[name, types.includes('array') || types.includes('integer') ? parsed(text) : text]]
}

const parsed = (text: string): unknown => {
  try {
    return JSON.parse(text)
  } catch {
    return text
  }
}

const issuesOf = ({ pointer, value, unreadable }: Record): Issue[] => {
  const issue = (detail: string): Issue => ({ in: 'body', pointer, detail })
  if (unreadable !== undefined) return [issue(unreadable)]
  if (!imported.holds(value))
    return issuesIn(imported.errorsOf(value), 'body').map(({ pointer: member, detail }) =>
      issue(`${member.slice(1)} ${detail}`.trim()),
    )
  const { completed, completed_at } = value
  return completed !== true && (completed_at ?? null) !== null
    ? [issue('completed_at goes with completed: true only')]
    : []
}

const rowOf = (task: Static<typeof ImportedTask>, now: string): Omit<ImportedRow, 'id'> => {
  const { id: _id, user_id: _owner, version: _version, updated_at: _updated, ...said } = task
  const completed = said.completed ?? false
  return {
    ...inUtc(said),
    completed,
    completed_at: completed ? (toUtc(task.completed_at) ?? now) : null,
    created_at: toUtc(task.created_at) ?? now,
  }
}

/** Ids in the order of the records, which is the order of an export. */
const withIds = (rows: Omit<ImportedRow, 'id'>[]): ImportedRow[] => {
  const ids = rows.map(() => Bun.randomUUIDv7()).sort()
  return rows.map((row, at) => ({ ...row, id: ids[at] ?? Bun.randomUUIDv7() }))
}
