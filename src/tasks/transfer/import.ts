import { type FieldError, ProblemError } from '../../http/problem.ts'
import { toFieldErrors } from '../../http/validation-errors.ts'
import { createRuleChecker } from '../../recurrence/rule-checker.ts'
import { compileSchema } from '../../schema/compile.ts'
import { toUtc } from '../../schema/timestamp.ts'
import { inStoredForm } from '../task/columns.ts'
import { wholeTaskErrors } from '../task/stored-conflicts.ts'
import { createDropped, type DroppedMember } from './dropped.ts'
import { createNamedLists } from './lists.ts'
import type { Record } from './parsed.ts'
import { readProgram } from './programs/programs.ts'
import { parseRecords } from './records.ts'
import type { ImportedRow, ImportedRows } from './repository.ts'
import { ImportedTask, type ProgramName } from './schema.ts'
import { createTurns } from './turns.ts'

const schema = compileSchema(ImportedTask)
const fieldErrorsMax = 100

/** The rows of a valid import; 422 with at most 100 errors of invalid records, or 413 for too many records. */
export const toImportRows = async (
  body: unknown,
  { from, rowsMax, now }: { from: ProgramName | undefined; rowsMax: number; now: string },
): Promise<ReadImport> => {
  const dropped = createDropped()
  const { records, lists } = from
    ? { records: await readProgram(from, body, rowsMax, dropped), lists: [] }
    : await parseRecords(body, rowsMax, dropped)
  const names = createNamedLists()
  const newSeries = createNewIds()
  const nextTurn = createTurns()
  const isPossibleRule = createRuleChecker()
  const keyOfId = new Map(lists.map(({ id, name }) => [id.toLowerCase(), names.add(name)]))

  const pointers: string[] = []
  const rows: Omit<ImportedRow, 'id' | 'ord'>[] = []
  const positions: unknown[] = []
  const errors: FieldError[] = []
  for (const record of records) {
    await nextTurn()
    const found = fieldErrorsOf(record, isPossibleRule)
    if (found.length === 0) {
      const task = record.value as ImportedTask
      const ofFile = keyOfId.get(task.list_id?.toLowerCase() ?? '')
      const list_key = task.list ? names.add(task.list) : (ofFile ?? null)
      const series_id = newSeries(task.series_id)
      const ofList = { ...(list_key !== null && { list_id: null }), list_key }
      rows.push({ ...toRow(task, now), ...ofList, series_id })
      positions.push(task.position)
      pointers.push(record.pointer)
    }
    errors.push(...found.slice(0, fieldErrorsMax - errors.length))
    if (errors.length >= fieldErrorsMax) break
  }
  if (errors.length > 0) throw new ProblemError('invalid-request', { errors })
  return {
    rows: withIds(rows, positions),
    named: names.all(),
    pointers,
    dropped: dropped.all(),
  }
}

/** What an import creates, the place of each row in the file, and what it does not keep. */
export type ReadImport = ImportedRows & { pointers: string[]; dropped: DroppedMember[] }

/** 422 for every record in a list that does not exist. */
export const throwNoSuchList = ({ rows, pointers }: ReadImport, listId: string): never => {
  const errors = rows.flatMap(({ list_id }, at): FieldError[] =>
    list_id === listId
      ? [{ in: 'body', pointer: pointers[at] ?? '', detail: 'list_id: no such list' }]
      : [],
  )
  throw new ProblemError('invalid-request', { errors: errors.slice(0, fieldErrorsMax) })
}

/** 422 if a record is in a list that is not one of these. */
export const requireLists = (read: ReadImport, ids: ReadonlySet<string>): void => {
  const missing = read.rows.find(({ list_id }) => list_id && !ids.has(list_id))
  if (missing?.list_id) throwNoSuchList(read, missing.list_id)
}

/** A new id for each id of a file, so that the tasks of a series stay together. */
const createNewIds = () => {
  const byId = new Map<string, string>()
  return (id: unknown): string | null => {
    if (typeof id !== 'string') return null
    const found = byId.get(id) ?? Bun.randomUUIDv7()
    byId.set(id, found)
    return found
  }
}

const fieldErrorsOf = (
  { pointer, value, unreadable }: Record,
  isPossibleRule: ReturnType<typeof createRuleChecker>,
): FieldError[] => {
  const fieldError = (detail: string): FieldError => ({ in: 'body', pointer, detail })
  if (unreadable !== undefined) return [fieldError(unreadable)]
  if (!schema.matches(value))
    return toFieldErrors(schema.errorsOf(value), 'body').map(({ pointer: member, detail }) =>
      fieldError(`${member.slice(1)} ${detail}`.trim()),
    )
  const { completed, completed_at } = value
  const [conflict] = wholeTaskErrors(value, '', isPossibleRule)
  if (conflict) return [fieldError(`${conflict.pointer.slice(1)} ${conflict.detail}`)]
  return completed !== true && (completed_at ?? null) !== null
    ? [fieldError('completed_at is accepted only with completed: true')]
    : []
}

const toRow = (task: ImportedTask, now: string) => {
  const {
    id: _id,
    user_id: _userId,
    version: _version,
    updated_at: _updated,
    position: _position,
    series_id: _series,
    list: _list,
    ...members
  } = task
  const completed = members.completed ?? false
  return {
    ...inStoredForm(members),
    completed,
    completed_at: completed ? (toUtc(task.completed_at) ?? now) : null,
    created_at: toUtc(task.created_at) ?? now,
  }
}

/**
 * Assigns ids in the order of the records, which is the order of an export, and places in the order of the exported
 * positions, if all records have one.
 */
const withIds = (rows: Omit<ImportedRow, 'id' | 'ord'>[], positions: unknown[]): ImportedRow[] => {
  const ids = rows.map(() => Bun.randomUUIDv7()).sort()
  const places = placesOf(positions)
  return rows.map((row, at) => ({
    ...row,
    id: ids[at] ?? Bun.randomUUIDv7(),
    ord: places[at] ?? at + 1,
  }))
}

/** The place of each record, from 1, by its position (bytewise); in the order of the file if one has none. */
const placesOf = (positions: unknown[]): number[] => {
  if (!positions.every((position) => typeof position === 'string')) return []
  const order = positions.map((position, at) => ({ key: Buffer.from(position), at }))
  order.sort((a, b) => Buffer.compare(a.key, b.key) || a.at - b.at)
  const places: number[] = []
  for (const [place, { at }] of order.entries()) places[at] = place + 1
  return places
}
