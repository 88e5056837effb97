import type { KeyInFlight, StoredResponse } from '../../db/idempotency.ts'
import { arrayLiteral, type ExpectedVersions } from '../../db/params.ts'
import { normalizeId } from '../../schema/types.ts'
import type { Recurring } from './recurring.ts'
import type { Task } from './schema.ts'
import { type StoredTask, toTask } from './sql.ts'

/**
 * The result of a write: the written task; or the current version, if it is not an expected one; or the stored
 * response of the same idempotency key. `next` is the successor of a recurring task.
 */
export type WriteResult =
  | { task: Task; next?: Task | null }
  | { version: number }
  | { storedResponse: StoredResponse }
  | KeyInFlight

/** A row of a statement that writes one task. */
export type WriteRow = {
  task: StoredTask | null
  current?: { version: number; recurring: Recurring | null } | null
  next?: StoredTask | null
  kept?: StoredTask | null
  earlierResponse?: StoredResponse | null
}

/** `undefined`: the session has ended. `null`: the user has no such task. */
export const toResult = ([row]: WriteRow[]): WriteResult | null | undefined => {
  if (row === undefined) return undefined
  if (row.earlierResponse) return { storedResponse: row.earlierResponse }
  if (row.task && 'next' in row) {
    const next = row.next ?? row.kept
    return { task: toTask(row.task), next: next ? toTask(next) : null }
  }
  if (row.task) return { task: toTask(row.task) }
  return row.current ? { version: row.current.version } : null
}

/** The parameters of the task that a statement writes. */
export const target = (id: string, expected: ExpectedVersions) => ({
  id: normalizeId(id),
  versions: expected ? arrayLiteral(expected) : null,
})
