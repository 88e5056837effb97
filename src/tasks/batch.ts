import { alive } from '../auth/guard.ts'
import { Refusal, refuse } from '../errors.ts'
import { idOf } from '../shapes.ts'
import type { Head } from './answers.ts'
import type { Batched, BatchOf, Created, Wanted } from './batch-repository.ts'
import type { Batch, BatchDone } from './bulk-model.ts'
import { replayed } from './idempotency.ts'
import type { Task } from './model.ts'
import type { Once } from './once.ts'
import { etagOf } from './preconditions.ts'

const operationsMax = 100

/** All that a batch wants, or none of it. */
export const runBatch = async (
  batch: ReturnType<BatchOf>,
  body: Batch,
  once: Once | undefined,
  set: Head,
): Promise<BatchDone> => {
  const wanted = wantedOf(body)
  checkOperations(body, wanted)
  // Sorted, so that a kept answer tells by its ids in which order they were asked for.
  const ids = (body.create ?? []).map(() => Bun.randomUUIDv7()).sort()
  const created = (body.create ?? []).map((task, at): Created => ({ ...task, id: ids[at] ?? '' }))

  const found = alive(await batch(created, wanted, once))

  const tasks = tasksOf(found, once, set, wanted)
  return inOrder(body, tasks)
}

type Operation = { kind: 'update' | 'complete' | 'delete'; at: number }
const pointerOf = ({ kind, at }: Operation) => `/${kind}/${at}`

const wantedOf = ({ update = [], complete = [], delete: gone = [] }: Batch) =>
  [
    ...update.map((changes, at) => ({ ...changes, kind: 'update' as const, at })),
    ...complete.map((changes, at) => ({ ...changes, kind: 'complete' as const, at })),
    ...gone.map((id, at) => ({ id, kind: 'delete' as const, at })),
  ].map((one, ord): Wanted & Operation => ({ ...one, id: idOf(one.id), ord }))

const checkOperations = (body: Batch, wanted: (Wanted & Operation)[]) => {
  const wrong = (pointer: string, detail: string) =>
    refuse('invalid-request', { errors: [{ in: 'body', pointer, detail }] })

  const count = wanted.length + (body.create?.length ?? 0)
  if (count < 1 || count > operationsMax)
    wrong('', `must have 1 to ${operationsMax} operations in all`)
  const empty = body.update?.findIndex(({ id: _id, version: _version, ...changes }) => {
    return Object.keys(changes).length === 0
  })
  if (empty !== undefined && empty >= 0) wrong(`/update/${empty}`, 'must change something')
  const seen = new Set<string>()
  for (const one of wanted) {
    if (one.id !== idOf('') && seen.has(one.id))
      wrong(pointerOf(one), 'has an id that another operation has too')
    seen.add(one.id)
  }
}

const tasksOf = (
  found: Batched,
  once: Once | undefined,
  set: Head,
  wanted: (Wanted & Operation)[],
): Task[] => {
  if ('inFlight' in found) return refuse('idempotency-in-flight')
  if ('kept' in found && once) return replayed(found.kept, once, set.headers) as Task[]
  if ('tasks' in found) return found.tasks
  if (!('refused' in found)) throw new Error('a kept answer to a request without a key')

  const { ord, version } = found.refused
  const operation = wanted[ord]
  const pointer = operation ? pointerOf(operation) : ''
  throw version === null
    ? new Refusal('task-not-found', { errors: [{ in: 'body', pointer, detail: 'no such task' }] })
    : new Refusal('version-mismatch', {
        headers: { etag: etagOf({ version }) },
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
