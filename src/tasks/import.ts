import type { Static } from '@sinclair/typebox'
import { checkOf } from '../checks.ts'
import { type Issue, Refusal } from '../errors.ts'
import { issuesIn } from '../http/issues.ts'
import { toUtc } from '../instants.ts'
import { ImportedTask } from './bulk-model.ts'
import { inUtc } from './fields.ts'
import { type Record, recordsOf } from './records.ts'
import type { ImportedRow } from './transfer-repository.ts'

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
  const records = await recordsOf(body, rowsMax)

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
