import { now } from '../../db/clock.ts'
import type { Db } from '../../db/database.ts'
import { DatabaseUnavailable, runWrite } from '../../db/errors.ts'
import {
  type IdempotencyKey,
  type KeyInFlight,
  retryOnConflict,
  type StoredResponse,
} from '../../db/idempotency.ts'
import { arrayLiteral } from '../../db/params.ts'
import { prepareStatement } from '../../db/prepared-statement.ts'
import { type Principal, scopeParameters } from '../../db/user-scope.ts'
import type { Successor } from '../../recurrence/next.ts'
import { normalizeId } from '../../schema/types.ts'
import { inStoredForm, presentMembers } from '../task/columns.ts'
import { successorFor } from '../task/recurring.ts'
import type { NewTask, Task, TaskPatch } from '../task/schema.ts'
import { type StoredTask, toTask } from '../task/sql.ts'
import type { RecurringOperation } from './guards.ts'
import { batchStatement, idempotentBatchStatement } from './statements.ts'

/** One operation on a task. `ord` is its number in the batch, which tells the first operation that fails. */
export type BatchOperation = {
  ord: number
  kind: 'update' | 'complete' | 'delete'
  id: string
  version?: number
  /** Of a recurring task: the version is that which its successor `next` was calculated from. */
  is_handled?: true
  next?: (Successor & { id: string }) | null
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
  const recurring = prepareStatement(db, () => batchStatement(db, { hasSuccessors: true }))
  const keyedRecurring = prepareStatement(db, () =>
    idempotentBatchStatement(db, { hasSuccessors: true }),
  )

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
      }
      const send = (all: BatchOperation[], hasSuccessors: boolean): Promise<Row[]> => {
        const sent = all.map((one) => ({ ...inStoredForm(one), sets: presentMembers(one) }))
        const bound = {
          ...values,
          operations: JSON.stringify(sent),
          ...scopeParameters(principal),
        }
        const [unkeyed, once] = hasSuccessors ? [recurring, keyedRecurring] : [plain, keyed]
        return runWrite(() => (key ? once.execute({ ...bound, ...key }) : unkeyed.execute(bound)))
      }
      return retryOnConflict(() => runBatch(operations, send))
    }
}

/** How often a batch is sent again whose recurring tasks other requests change. */
const attemptsMax = 100

/**
 * Sends the operations; then, if they complete recurring tasks, again with their successors. This is repeated if such a task
 * has changed meanwhile.
 */
const runBatch = async (
  operations: BatchOperation[],
  send: (all: BatchOperation[], hasSuccessors: boolean) => Promise<Row[]>,
): Promise<BatchResult | undefined> => {
  for (let attempt = 1; attempt <= attemptsMax; attempt++) {
    const first = await send(operations, false)
    const [found] = first
    const list = found?.recurring?.list
    const isRefused = (found?.refused?.ord ?? found?.missing_list?.missing ?? null) !== null
    if (!list || isRefused || found?.earlierResponse) return toResult(first)
    const byOrd = new Map(list.map((task) => [task.ord, task]))
    const handled = operations.map((operation): BatchOperation => {
      const task = byOrd.get(operation.ord)
      if (task === undefined) return operation
      const next = successorFor(task, now())
      return {
        ...operation,
        version: task.version,
        is_handled: true,
        next: next && { ...next, id: Bun.randomUUIDv7() },
      }
    })
    const second = await send(handled, true)
    const [row] = second
    const isChanged = byOrd.has(row?.refused?.ord ?? -1) || row?.recurring?.list
    if (!isChanged || row?.earlierResponse) return toResult(second)
  }
  throw new DatabaseUnavailable('contention')
}

export type BatchRepository = ReturnType<typeof createBatchRepository>

type Row = {
  task: StoredTask | null
  refused: { ord: number | null; version: number | null } | null
  missing_list: { missing: string | null } | null
  recurring: { list: RecurringOperation[] | null } | null
  earlierResponse?: StoredResponse | null
}

const toResult = (rows: Row[]): BatchResult | undefined => {
  const [first] = rows
  if (first === undefined) return undefined
  if (first.earlierResponse) return { storedResponse: first.earlierResponse }
  const { ord = null, version = null } = first.refused ?? {}
  if (ord !== null) return { refused: { ord, version } }
  const missingList = first.missing_list?.missing
  if (missingList) return { missingList }
  return { tasks: rows.flatMap(({ task }) => (task ? toTask(task) : [])) }
}
