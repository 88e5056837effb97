import { Elysia } from 'elysia'
import type { IdempotencyKey } from '../../db/idempotency.ts'
import { type Authenticated, requireSession } from '../../http/authenticated.ts'
import { formatEtag } from '../../http/conditional.ts'
import { parseIdempotencyKey, replayResponse } from '../../http/idempotency.ts'
import {
  type FieldError,
  ProblemError,
  throwInvalidRequest,
  throwProblem,
} from '../../http/problem.ts'
import { createRuleChecker } from '../../recurrence/rule-checker.ts'
import { normalizeId } from '../../schema/types.ts'
import type { ResponseHead } from '../task/responses.ts'
import type { Task } from '../task/schema.ts'
import {
  noSuchList,
  patchedErrors,
  planningErrors,
  wholeTaskErrors,
} from '../task/stored-conflicts.ts'
import type { BatchOperation, BatchRepository, BatchResult, TaskDraft } from './repository.ts'
import { type Batch, type BatchOutcome, batchTasks } from './schema.ts'

type Needs = { batch: BatchRepository; authenticated: Authenticated }

const operationsMax = 100

/** Up to 100 operations in one request. */
export const batchRoutes = ({ batch, authenticated }: Needs) =>
  new Elysia().use(authenticated).post(
    '/batch',
    async ({ principal, body, request, set }) => {
      const key = parseIdempotencyKey(request, body)
      const operations = toOperations(body)
      checkOperations(body, operations)
      // Sorted ids keep the order of the drafts, also in a stored response.
      const ids = (body.create ?? []).map(() => Bun.randomUUIDv7()).sort()
      const drafts = (body.create ?? []).map(
        (task, at): TaskDraft => ({ ...task, id: ids[at] ?? '' }),
      )

      const result = requireSession(await batch(principal)(drafts, operations, key))

      return inOrder(body, tasksOf(result, key, set, operations, body))
    },
    batchTasks,
  )

/** An operation and its index in the request's array of this kind. */
type IndexedOperation = BatchOperation & { at: number }

const pointerOf = ({ kind, at }: IndexedOperation) => `/${kind}/${at}`

const toOperations = (batch: Batch): IndexedOperation[] =>
  [
    ...(batch.update ?? []).map((changes, at) => ({ ...changes, kind: 'update' as const, at })),
    ...(batch.complete ?? []).map((changes, at) => ({ ...changes, kind: 'complete' as const, at })),
    ...(batch.delete ?? []).map((id, at) => ({ id, kind: 'delete' as const, at })),
  ].map((operation, ord) => ({ ...operation, id: normalizeId(operation.id), ord }))

const fieldErrorsMax = 20

/** The contradictions in the members of a batch. It stops early, because an impossible rule takes 5 ms. */
const planningErrorsOf = (batch: Batch, operations: IndexedOperation[]): FieldError[] => {
  const isPossibleRule = createRuleChecker()
  const checks = [
    ...(batch.create ?? []).map(
      (task, at) => () => wholeTaskErrors(task, `/create/${at}`, isPossibleRule),
    ),
    ...operations.map(
      (operation) => () => planningErrors(operation, pointerOf(operation), isPossibleRule),
    ),
  ]
  const errors: FieldError[] = []
  for (const check of checks) if (errors.length < fieldErrorsMax) errors.push(...check())
  return errors.slice(0, fieldErrorsMax)
}

const checkOperations = (batch: Batch, operations: IndexedOperation[]) => {
  const count = operations.length + (batch.create?.length ?? 0)
  if (count < 1 || count > operationsMax)
    throwInvalidRequest('', `must have 1 to ${operationsMax} operations in total`)
  const errors = planningErrorsOf(batch, operations)
  if (errors.length > 0) throwProblem('invalid-request', { errors })
  const seen = new Set<string>()
  for (const operation of operations) {
    if (operation.id !== normalizeId('') && seen.has(operation.id))
      throwInvalidRequest(pointerOf(operation), 'has the id of another operation')
    seen.add(operation.id)
  }
}

/** The tasks that the batch wrote, or the problem that the result stands for. */
const tasksOf = (
  result: BatchResult,
  key: IdempotencyKey | undefined,
  set: ResponseHead,
  operations: IndexedOperation[],
  batch: Batch,
): Task[] => {
  if ('inFlight' in result) return throwProblem('idempotency-in-flight')
  if ('storedResponse' in result && key)
    return replayResponse(result.storedResponse, key, set.headers) as Task[]
  if ('tasks' in result) return result.tasks
  if ('missingList' in result)
    throw new ProblemError('invalid-request', {
      errors: noSuchListErrors(result.missingList, batch),
    })
  if (!('refused' in result)) throw new Error('a stored response for a request without a key')

  const { ord, version } = result.refused
  const operation = operations[ord]
  const pointer = operation ? pointerOf(operation) : ''
  if (version === null)
    throw new ProblemError('task-not-found', {
      errors: [{ in: 'body', pointer, detail: 'no such task' }],
    })
  if (operation && (operation.version ?? version) === version)
    throw new ProblemError('invalid-request', { errors: patchedErrors(operation, pointer) })
  throw new ProblemError('version-mismatch', {
    headers: { etag: formatEtag({ version }) },
    errors: [{ in: 'body', pointer, detail: 'the task has changed' }],
  })
}

/** Every operation that names a list which does not exist. */
const noSuchListErrors = (listId: string, batch: Batch) =>
  (['create', 'update'] as const).flatMap((kind) =>
    (batch[kind] ?? []).flatMap(({ list_id }, at) =>
      list_id && normalizeId(list_id) === listId ? noSuchList(`/${kind}/${at}`) : [],
    ),
  )

/** Sorts the written tasks into the order of the request. Those that no operation names were created. */
const inOrder = (batch: Batch, tasks: Task[]): BatchOutcome => {
  const byId = new Map(tasks.map((task) => [task.id, task]))
  const take = (ids: string[]) =>
    ids.map(normalizeId).flatMap((id) => {
      const task = byId.get(id)
      byId.delete(id)
      return task ?? []
    })
  const updated = take((batch.update ?? []).map(({ id }) => id))
  const completed = take((batch.complete ?? []).map(({ id }) => id))
  const deleted = take(batch.delete ?? []).map(({ id }) => id)
  const created = [...byId.values()].sort((a, b) => (a.id < b.id ? -1 : 1))
  return { created, updated, completed, deleted }
}
