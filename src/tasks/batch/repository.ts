import type { Db } from '../../db/client.ts'
import { runWrite } from '../../db/faults.ts'
import {
  type IdempotencyKey,
  type KeyInFlight,
  retryOnConflict,
  type StoredResponse,
} from '../../db/idempotency.ts'
import { prepareStatement } from '../../db/prepared-statement.ts'
import { type Principal, scopeParameters } from '../../db/user-scope.ts'
import { presentMembers, withUtcTimes } from '../task/columns.ts'
import type { NewTask, Task, TaskChanges } from '../task/schema.ts'
import { arrayLiteral } from '../task/sql.ts'
import { batchStatement, idempotentBatchStatement } from './statements.ts'

/** What is to become of one task. `ord`: its place among all that are wanted, for telling which one cannot be. */
export type BatchOperation = {
  ord: number
  kind: 'update' | 'complete' | 'delete'
  id: string
  version?: number
} & TaskChanges
export type Created = NewTask & { id: string }

/** Every task as it is now; or the first that cannot be done and why; or the answer kept under the key. */
export type Batched =
  | { tasks: Task[] }
  | { refused: { ord: number; version: number | null } }
  | { storedResponse: StoredResponse }
  | KeyInFlight

/** Batches of whoever asks; nothing where their session has ended. */
export const createBatchRepository = (db: Db) => {
  const plain = prepareStatement(db, batchStatement(db))
  const keyed = prepareStatement(db, idempotentBatchStatement(db))

  return (principal: Principal) =>
    (
      created: Created[],
      operations: BatchOperation[],
      idempotencyKey?: IdempotencyKey,
    ): Promise<Batched | undefined> => {
      const values = {
        ids: arrayLiteral(operations.map(({ id }) => id)),
        created: JSON.stringify(created.map(withUtcTimes)),
        operations: JSON.stringify(
          operations.map((one) => ({ ...withUtcTimes(one), sets: presentMembers(one) })),
        ),
      }
      const parametersOf = () => ({ ...values, ...scopeParameters(principal) })
      return retryOnConflict(async () => {
        if (!idempotencyKey) return outcome(await runWrite(() => plain.execute(parametersOf())))
        const rows = await runWrite(() => keyed.execute({ ...parametersOf(), ...idempotencyKey }))
        return rows[0]?.earlierResponse
          ? { storedResponse: rows[0].earlierResponse }
          : outcome(rows)
      })
    }
}

export type BatchRepository = ReturnType<typeof createBatchRepository>

type Row = { task: Task | null; refused: { ord: number | null; version: number | null } | null }

const outcome = (rows: Row[]): Batched | undefined => {
  const [first] = rows
  if (first === undefined) return undefined
  const { ord = null, version = null } = first.refused ?? {}
  if (ord !== null) return { refused: { ord, version } }
  return { tasks: rows.flatMap(({ task }) => task ?? []) }
}
