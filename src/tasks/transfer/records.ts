import type { TSchema } from '@sinclair/typebox'
import { depthDetail, exceedsDepth } from '../../http/json-depth.ts'
import { throwProblem } from '../../http/problem.ts'
import { TextBody } from '../../schema/body.ts'
import { isText } from '../../schema/validators.ts'
import type { Dropped } from './dropped.ts'
import { unescapeCell } from './formats/csv.ts'
import { type Cell, readCsv } from './formats/read-csv.ts'
import { readCalendar } from './formats/read-icalendar.ts'
import { readJsonFile } from './json-file.ts'
import type { Parsed, Record } from './parsed.ts'
import { ImportedTask } from './schema.ts'

const members: { [name: string]: TSchema } = ImportedTask.properties
const columnsMax = Object.keys(members).length
const knownColumns = `the columns are ${Object.keys(members).join(', ')}`

/**
 * Parses the records of an import, valid or not; 413 for more than `rowsMax`.
 *
 * They are counted before they are created. Creating five million records from 10 MiB blocked the event loop for a
 * second, and the cells of a CSV for eight, with 5 GB of memory.
 */
export const parseRecords = async (
  body: unknown,
  rowsMax: number,
  dropped: Dropped,
): Promise<Parsed> => {
  if (!(body instanceof TextBody)) return readJsonFile(body, rowsMax)
  return { records: await fromText(body, rowsMax, dropped), lists: [] }
}

const fromText = ({ type, text }: TextBody, rowsMax: number, dropped: Dropped) => {
  if (type === 'text/csv') return fromCsv(text, rowsMax)
  if (type === 'text/calendar') return readCalendar(text, rowsMax, dropped)
  return fromNdjson(text, rowsMax)
}

const throwInvalidBody = (detail: string, pointer = '') =>
  throwProblem('invalid-request', { errors: [{ in: 'body', pointer, detail }] })

const fromNdjson = (text: string, rowsMax: number): Record[] => {
  const records: Record[] = []
  for (let [start, line] = [0, 1]; start < text.length; line += 1) {
    const end = text.indexOf('\n', start)
    const json = text.slice(start, end === -1 ? undefined : end)
    start = end === -1 ? text.length : end + 1
    if (json.trim() === '') continue
    if (records.length === rowsMax) throwProblem('body-too-large')
    records.push(fromLine(json, `/line/${line}`))
  }
  return records
}

const fromLine = (json: string, pointer: string): Record => {
  try {
    const value = JSON.parse(json)
    return exceedsDepth(json)
      ? { pointer, value: undefined, unreadable: depthDetail }
      : { pointer, value }
  } catch {
    return { pointer, value: undefined, unreadable: 'is not JSON' }
  }
}

/**
 * RFC 4180, and what spreadsheets write: `;` or tabs between cells, and names of columns in any case. An empty cell is
 * null, `""` is empty text.
 */
const fromCsv = async (text: string, rowsMax: number): Promise<Record[]> => {
  const [header, ...records] = await readCsv(text, { rowsMax, columnsMax })
  if (records.length > rowsMax) throwProblem('body-too-large')
  const names = header?.cells.map((cell) => cell.text.trim().toLowerCase()) ?? []
  if (!names.includes('title'))
    return throwInvalidBody(`must name the column title; ${knownColumns}`, '/line/1')
  const unknown = names.findIndex((name) => !Object.hasOwn(ImportedTask.properties, name))
  if (unknown !== -1)
    return throwInvalidBody(`column ${unknown + 1} is not known; ${knownColumns}`, '/line/1')
  if (new Set(names).size < names.length)
    return throwInvalidBody('must not repeat a column', '/line/1')

  return records.map(({ cells, line }) => {
    const pointer = `/line/${line}`
    if (cells.length !== names.length)
      return { pointer, value: undefined, unreadable: `must have ${names.length} cells` }
    const members = cells.flatMap((cell, at) => toMember(names[at] ?? '', cell))
    return { pointer, value: Object.fromEntries(members) }
  })
}

const toMember = (name: string, { text, isQuoted }: Cell): [string, unknown][] => {
  if (text === '' && !isQuoted) return []
  const schema = members[name]
  const types: unknown[] = [schema?.type].flat()
  if (isText(schema)) return [[name, unescapeCell(text)]]
  if (types.includes('boolean')) return [[name, booleans.get(text.toLowerCase()) ?? text]]
  const isJson = types.includes('array') || types.includes('integer') || schema?.anyOf !== undefined
  return [[name, isJson ? parseJsonCell(text) : text]]
}

/** Spreadsheets write them in capitals. */
const booleans = new Map([
  ['true', true],
  ['false', false],
])

const parseJsonCell = (text: string): unknown => {
  try {
    return exceedsDepth(text) ? text : JSON.parse(text)
  } catch {
    return text
  }
}
