import { type Caller, whoOf } from '../auth/caller.ts'
import type { Db } from '../db/client.ts'
import { writing } from '../db/faults.ts'
import { prepared } from '../db/prepared.ts'
import { batching, batchingOnce } from './batch-statements.ts'
import { inUtc, setsOf } from './fields.ts'
import type { NewTask, Task, TaskChanges } from './model.ts'
import { type InFlight, type KeptAnswer, type Once, orAgain } from './once.ts'

import { arrayOf } from './statements.ts'

/** What is to become of one task. `ord`: its place among all that are wanted, for telling which one cannot be. */
export type Wanted = {
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
  | { kept: KeptAnswer }
  | InFlight

/** Batches of whoever asks; nothing where their session has ended. */
export const batchRepository = (db: Db) => {
  const plain = prepared(db, batching(db))
  const keyed = prepared(db, batchingOnce(db))

  return (caller: Caller) =>
    (created: Created[], wanted: Wanted[], once?: Once): Promise<Batched | undefined> => {
      const values = {
        ids: arrayOf(wanted.map(({ id }) => id)),
        created: JSON.stringify(created.map(inUtc)),
        wanted: JSON.stringify(wanted.map((one) => ({ ...inUtc(one), sets: setsOf(one) }))),
      }
      const bound = () => ({ ...values, ...whoOf(caller) })
      return orAgain(async () => {
        if (!once) return outcome(await writing(() => plain.execute(bound())))
        const rows = await writing(() => keyed.execute({ ...bound(), ...once }))
        return rows[0]?.earlier ? { kept: rows[0].earlier } : outcome(rows)
      })
    }
}

export type BatchOf = ReturnType<typeof batchRepository>

type Row = { task: Task | null; refused: { ord: number | null; version: number | null } | null }

const outcome = (rows: Row[]): Batched | undefined => {
  const [first] = rows
  if (first === undefined) return undefined
  const { ord = null, version = null } = first.refused ?? {}
  if (ord !== null) return { refused: { ord, version } }
  return { tasks: rows.flatMap(({ task }) => task ?? []) }
}
