import type { IdempotencyKey } from '../../db/idempotency.ts'
import { requireSession } from '../../http/authenticated.ts'
import { formatEtag } from '../../http/conditional.ts'
import { replayResponse } from '../../http/idempotency.ts'
import { ProblemError, throwProblem } from '../../http/problem.ts'
import { normalizeId } from '../../schema/types.ts'
import type { Batch, BatchDone } from '../bulk-model.ts'
import type { ResponseHead } from '../task/responses.ts'
import type { Task } from '../task/schema.ts'
import type { Batched, BatchOperation, BatchRepository, Created } from './repository.ts'

const operationsMax = 100

/** All that a batch wants, or none of it. */
export const runBatch = async (
  batch: ReturnType<BatchRepository>,
  body: Batch,
  idempotencyKey: IdempotencyKey | undefined,
  set: ResponseHead,
): Promise<BatchDone> => {
  const wantedOperations = wantedOf(body)
  checkOperations(body, wantedOperations)
  // Sorted, so that a kept answer tells by its ids in which order they were asked for.
  const ids = (body.create ?? []).map(() => Bun.randomUUIDv7()).sort()
  const created = (body.create ?? []).map((task, at): Created => ({ ...task, id: ids[at] ?? '' }))

  const found = requireSession(await batch(created, wantedOperations, idempotencyKey))

  const tasks = tasksOf(found, idempotencyKey, set, wantedOperations)
  return inOrder(body, tasks)
}

type Operation = { kind: 'update' | 'complete' | 'delete'; at: number }
const pointerOf = ({ kind, at }: Operation) => `/${kind}/${at}`

const wantedOf = ({ update = [], complete = [], delete: gone = [] }: Batch) =>
  [
    ...update.map((changes, at) => ({ ...changes, kind: 'update' as const, at })),
    ...complete.map((changes, at) => ({ ...changes, kind: 'complete' as const, at })),
    ...gone.map((id, at) => ({ id, kind: 'delete' as const, at })),
  ].map((one, ord): BatchOperation & Operation => ({ ...one, id: normalizeId(one.id), ord }))

const checkOperations = (body: Batch, wantedOperations: (BatchOperation & Operation)[]) => {
  const wrong = (pointer: string, detail: string) =>
    throwProblem('invalid-request', { errors: [{ in: 'body', pointer, detail }] })

  const count = wantedOperations.length + (body.create?.length ?? 0)
  if (count < 1 || count > operationsMax)
    wrong('', `must have 1 to ${operationsMax} operations in all`)
  const empty = body.update?.findIndex(({ id: _id, version: _version, ...changes }) => {
    return Object.keys(changes).length === 0
  })
  if (empty !== undefined && empty >= 0) wrong(`/update/${empty}`, 'must change something')
  const seen = new Set<string>()
  for (const one of wantedOperations) {
    if (one.id !== normalizeId('') && seen.has(one.id))
      wrong(pointerOf(one), 'has an id that another operation has too')
    seen.add(one.id)
  }
}

const tasksOf = (
  found: Batched,
  idempotencyKey: IdempotencyKey | undefined,
  set: ResponseHead,
  wantedOperations: (BatchOperation & Operation)[],
): Task[] => {
  if ('inFlight' in found) return throwProblem('idempotency-in-flight')
  if ('storedResponse' in found && idempotencyKey)
    return replayResponse(found.storedResponse, idempotencyKey, set.headers) as Task[]
  if ('tasks' in found) return found.tasks
  if (!('refused' in found)) throw new Error('a kept answer to a request without a key')

  const { ord, version } = found.refused
  const operation = wantedOperations[ord]
  const pointer = operation ? pointerOf(operation) : ''
  throw version === null
    ? new ProblemError('task-not-found', {
        errors: [{ in: 'body', pointer, detail: 'no such task' }],
      })
    : new ProblemError('version-mismatch', {
        headers: { etag: formatEtag({ version }) },
        errors: [{ in: 'body', pointer, detail: 'the task has changed' }],
      })
}

const inOrder = (body: Batch, tasks: Task[]): BatchDone => {
  const byId = new Map(tasks.map((task) => [task.id, task]))
  const taken = (ids: string[]) =>
    ids.flatMap((id) => {
      const task = byId.get(id)
      byId.delete(id)
      return task ?? []
    })
  const updated = taken((body.update ?? []).map(({ id }) => id))
  const completed = taken((body.complete ?? []).map(({ id }) => id))
  const deleted = taken(body.delete ?? []).map(({ id }) => id)
  const created = [...byId.values()].sort((a, b) => (a.id < b.id ? -1 : 1))
  return { created, updated, completed, deleted }
}
