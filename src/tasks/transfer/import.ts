import { type FieldError, ProblemError, throwProblem } from '../../http/problem.ts'
import { toFieldErrors } from '../../http/validation-errors.ts'
import { createRuleChecker } from '../../recurrence/rule-checker.ts'
import { compileSchema } from '../../schema/compile.ts'
import { toUtc } from '../../schema/timestamp.ts'
import { normalizeId } from '../../schema/types.ts'
import { inStoredForm, presentMembers } from '../task/columns.ts'
import { patchedErrors, planningErrors, wholeTaskErrors } from '../task/stored-conflicts.ts'
import { createDropped, type DroppedMember } from './dropped.ts'
import type { ImportFault } from './import-outcome.ts'
import { createNamedLists } from './lists.ts'
import type { Record } from './parsed.ts'
import { readProgram } from './programs/programs.ts'
import { parseRecords } from './records.ts'
import type { ImportedRow, ImportedRows } from './repository.ts'
import { ImportedChange, ImportedTask, type ImportMode, type ProgramName } from './schema.ts'
import { createTurns } from './turns.ts'

const schema = compileSchema(ImportedTask)
const changeSchema = compileSchema(ImportedChange)
const fieldErrorsMax = 100

/** The rows of a valid import; 422 with at most 100 errors of invalid records, or 413 for too many records. */
export const toImportRows = async (
  body: unknown,
  { from, mode, rowsMax }: { from: ProgramName | undefined; mode: ImportMode; rowsMax: number },
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
  const rows: Omit<ImportedRow, 'id' | 'ord' | 'nth'>[] = []
  const takeId = createKnownIds(mode)
  const positions: unknown[] = []
  const errors: FieldError[] = []
  for (const record of records) {
    await nextTurn()
    const known_id = takeId(record.value)
    const found = fieldErrorsOf(record, known_id, isPossibleRule)
    if (found.length === 0) {
      const task = record.value as ImportedChange
      const ofFile = keyOfId.get(task.list_id?.toLowerCase() ?? '')
      const list_key = task.list ? names.add(task.list) : (ofFile ?? null)
      const series_id = newSeries(task.series_id)
      const ofList = { ...(list_key !== null && { list_id: null }), list_key }
      const isInList = list_key !== null || task.list !== undefined || 'list_id' in task
      const sets = [...presentMembers(task), ...(isInList ? ['list_id'] : [])]
      rows.push({ ...toRow(task), ...ofList, series_id, known_id: known_id ?? null, sets })
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

/** The problem for a file that cannot be applied. */
export const throwFault = (read: ReadImport, fault: ImportFault): never => {
  if (fault === 'too-many-lists') return throwProblem(fault)
  return 'refused' in fault
    ? throwRefused(read, fault.refused)
    : throwNoSuchList(read, fault.unknownList)
}

/** 422 for a record that the statement refused. */
const throwRefused = (
  { rows, pointers }: ReadImport,
  { nth, is_known }: { nth: number; is_known: boolean },
): never => {
  const row = rows[nth]
  const [error] = is_known ? patchedErrors(row ?? {}) : wholeTaskErrors(row ?? {})
  const detail = error ? `${error.pointer.slice(1)} ${error.detail}` : 'title is required'
  throw new ProblemError('invalid-request', {
    errors: [{ in: 'body', pointer: pointers[nth] ?? '', detail }],
  })
}

/** 422 for every record in a list that does not exist. */
const throwNoSuchList = ({ rows, pointers }: ReadImport, listId: string): never => {
  const errors = rows.flatMap(({ list_id }, at): FieldError[] =>
    list_id === listId
      ? [{ in: 'body', pointer: pointers[at] ?? '', detail: 'list_id: no such list' }]
      : [],
  )
  throw new ProblemError('invalid-request', { errors: errors.slice(0, fieldErrorsMax) })
}

/**
 * Returns a function that takes the id of a record which may change a task: undefined in a file of new tasks, and for text
 * that is no id; `repeated` for the second record with one id.
 */
const createKnownIds = (mode: ImportMode) => {
  const taken = new Set<string>()
  return (value: unknown): string | undefined => {
    const sent = mode === 'update' ? (value as { id?: unknown } | null)?.id : undefined
    const id = typeof sent === 'string' ? normalizeId(sent) : normalizeId('')
    if (id === normalizeId('')) return undefined
    if (taken.has(id)) return 'repeated'
    taken.add(id)
    return id
  }
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
  knownId: string | 'repeated' | undefined,
  isPossibleRule: ReturnType<typeof createRuleChecker>,
): FieldError[] => {
  const fieldError = (detail: string): FieldError => ({ in: 'body', pointer, detail })
  if (unreadable !== undefined) return [fieldError(unreadable)]
  if (knownId === 'repeated') return [fieldError('has the id of another record')]
  const expected = knownId === undefined ? schema : changeSchema
  if (!expected.matches(value))
    return toFieldErrors(expected.errorsOf(value), 'body').map(({ pointer: member, detail }) =>
      fieldError(`${member.slice(1)} ${detail}`.trim()),
    )
  const { completed, completed_at } = value
  const errorsOf = knownId === undefined ? wholeTaskErrors : planningErrors
  const [conflict] = errorsOf(value, '', isPossibleRule)
  if (conflict) return [fieldError(`${conflict.pointer.slice(1)} ${conflict.detail}`)]
  return completed !== true && (completed_at ?? null) !== null
    ? [fieldError('completed_at is accepted only with completed: true')]
    : []
}

const toRow = (task: ImportedChange) => {
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
  return {
    ...inStoredForm(members),
    completed: members.completed ?? null,
    completed_at: toUtc(task.completed_at) ?? null,
    created_at: toUtc(task.created_at) ?? null,
  }
}

/**
 * Assigns ids in the order of the records, which is the order of an export, and places in the order of the exported
 * positions, if all records have one.
 */
const withIds = (
  rows: Omit<ImportedRow, 'id' | 'ord' | 'nth'>[],
  positions: unknown[],
): ImportedRow[] => {
  const ids = rows.map(() => Bun.randomUUIDv7()).sort()
  const places = placesOf(positions)
  return rows.map((row, at) => ({
    ...row,
    id: ids[at] ?? Bun.randomUUIDv7(),
    ord: places[at] ?? at + 1,
    nth: at,
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
