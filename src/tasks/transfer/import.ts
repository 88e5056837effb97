import type { Static } from '@sinclair/typebox'
import { type FieldError, ProblemError } from '../../http/problem.ts'
import { toFieldErrors } from '../../http/validation-errors.ts'
import { compileSchema } from '../../schema/compile.ts'
import { toUtc } from '../../schema/timestamp.ts'
import { ImportedTask } from '../bulk-model.ts'
import { withUtcTimes } from '../task/columns.ts'
import { parseRecords, type Record } from './records.ts'
import type { ImportedRow } from './repository.ts'

const imported = compileSchema(ImportedTask)
const fieldErrorsMax = 100
/** How many records are checked before other requests get a turn. */
const recordsAtOnce = 2000

/**
 * The rows of an import, every one of them good; else 422 with what is wrong with each bad one,
 * a hundred at most, or 413 where there are too many.
 */
export const toImportRows = async (
  body: unknown,
  rowsMax: number,
  now: string,
): Promise<ImportedRow[]> => {
  const records = await parseRecords(body, rowsMax)

  const rows: Omit<ImportedRow, 'id'>[] = []
  const issues: FieldError[] = []
  for (const [at, record] of records.entries()) {
    if (at % recordsAtOnce === recordsAtOnce - 1) await Bun.sleep(0)
    const wrong = fieldErrorsOf(record)
    if (wrong.length === 0) rows.push(rowOf(record.value as Static<typeof ImportedTask>, now))
    issues.push(...wrong.slice(0, fieldErrorsMax - issues.length))
    if (issues.length >= fieldErrorsMax) break
  }
  if (issues.length > 0) throw new ProblemError('invalid-request', { errors: issues })
  return withIds(rows)
}

const fieldErrorsOf = ({ pointer, value, unreadable }: Record): FieldError[] => {
  const issue = (detail: string): FieldError => ({ in: 'body', pointer, detail })
  if (unreadable !== undefined) return [issue(unreadable)]
  if (!imported.matches(value))
    return toFieldErrors(imported.errorsOf(value), 'body').map(({ pointer: member, detail }) =>
      issue(`${member.slice(1)} ${detail}`.trim()),
    )
  const { completed, completed_at } = value
  return completed !== true && (completed_at ?? null) !== null
    ? [issue('completed_at goes with completed: true only')]
    : []
}

const rowOf = (task: Static<typeof ImportedTask>, now: string): Omit<ImportedRow, 'id'> => {
  const { id: _id, user_id: _owner, version: _version, updated_at: _updated, ...valueOf } = task
  const completed = valueOf.completed ?? false
  return {
    ...withUtcTimes(valueOf),
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
