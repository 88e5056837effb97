import type { Db } from '../../db/database.ts'
import { runWrite } from '../../db/errors.ts'
import {
  type IdempotencyKey,
  type KeyInFlight,
  retryOnConflict,
  type StoredResponse,
} from '../../db/idempotency.ts'
import { arrayLiteral } from '../../db/params.ts'
import { prepareStatement } from '../../db/prepared-statement.ts'
import { type Principal, scopeParameters } from '../../db/user-scope.ts'
import { normalizeId } from '../../schema/types.ts'
import { inStoredForm, presentMembers } from '../task/columns.ts'
import type { NewTask, Task, TaskPatch } from '../task/schema.ts'
import { type StoredTask, toTask } from '../task/sql.ts'
import { batchStatement, idempotentBatchStatement } from './statements.ts'

/** One operation on a task. `ord` is its number in the batch, which tells the first operation that fails. */
export type BatchOperation = {
  ord: number
  kind: 'update' | 'complete' | 'delete'
  id: string
  version?: number
} & TaskPatch
export type TaskDraft = NewTask & { id: string }

/**
 * All written tasks; or the first operation that is refused, with the current version (null: no such task); or a list that the
 * user does not have; or the stored response.
 */
export type BatchResult =
  | { tasks: Task[] }
  | { refused: { ord: number; version: number | null } }
  | { missingList: string }
  | { storedResponse: StoredResponse }
  | KeyInFlight

/** Runs batches of a principal; undefined if the session has ended. */
export const createBatchRepository = (db: Db) => {
  const plain = prepareStatement(db, () => batchStatement(db))
  const keyed = prepareStatement(db, () => idempotentBatchStatement(db))

  return (principal: Principal) =>
    (
      drafts: TaskDraft[],
      operations: BatchOperation[],
      key?: IdempotencyKey,
    ): Promise<BatchResult | undefined> => {
      const listIds = [...drafts, ...operations].flatMap(({ list_id }) => list_id ?? [])
      const values = {
        ids: arrayLiteral(operations.map(({ id }) => id)),
        lists: arrayLiteral([...new Set(listIds.map(normalizeId))]),
        drafts: JSON.stringify(
          drafts.map((draft, at) => ({ ...inStoredForm(draft), ord: at + 1 })),
        ),
        operations: JSON.stringify(
          operations.map((one) => ({ ...inStoredForm(one), sets: presentMembers(one) })),
        ),
      }
      const parameters = () => ({ ...values, ...scopeParameters(principal) })
      return retryOnConflict(async () => {
        if (!key) return toResult(await runWrite(() => plain.execute(parameters())))
        const rows = await runWrite(() => keyed.execute({ ...parameters(), ...key }))
        return rows[0]?.earlierResponse
          ? { storedResponse: rows[0].earlierResponse }
          : toResult(rows)
      })
    }
}

export type BatchRepository = ReturnType<typeof createBatchRepository>

type Row = {
  task: StoredTask | null
  refused: { ord: number | null; version: number | null } | null
  missing_list: { missing: string | null } | null
}

const toResult = (rows: Row[]): BatchResult | undefined => {
  const [first] = rows
  if (first === undefined) return undefined
  const { ord = null, version = null } = first.refused ?? {}
  if (ord !== null) return { refused: { ord, version } }
  const missingList = first.missing_list?.missing
  if (missingList) return { missingList }
  return { tasks: rows.flatMap(({ task }) => (task ? toTask(task) : [])) }
}
