import type { Db } from '../../db/client.ts'
import { runRead, runWrite } from '../../db/faults.ts'
import {
  type IdempotencyKey,
  type KeyInFlight,
  retryOnConflict,
  type StoredResponse,
} from '../../db/idempotency.ts'
import { type Principal, scopeParameters } from '../../db/user-scope.ts'
import { normalizeId } from '../../schema/types.ts'
import { insertParameters, patchParameters } from './columns.ts'
import type { NewTask, Task, TaskChanges, TaskReplacement } from './schema.ts'
import { arrayLiteral } from './sql.ts'
import { createTaskStatements } from './statements.ts'

/** Which versions a write may meet (`If-Match`); nothing: any. */
export type ExpectedVersions = readonly number[] | undefined

/**
 * What became of a write: the task as it is now; or, where the condition did not hold,
 * its current version; or the answer that was kept under the same key.
 */
export type WriteResult =
  | { task: Task }
  | { version: number }
  | { storedResponse: StoredResponse }
  | KeyInFlight

type Row = {
  task: Task | null
  current?: { version: number } | null
  earlierResponse?: StoredResponse | null
}

/** `undefined`: the session has ended. `null`: there is no such task. */
const outcome = ([row]: Row[]): WriteResult | null | undefined => {
  if (row === undefined) return undefined
  if (row.earlierResponse) return { storedResponse: row.earlierResponse }
  if (row.task) return { task: row.task }
  return row.current ? { version: row.current.version } : null
}

/**
 * The tasks of whoever asks. What is given a caller reaches no row of anybody else,
 * and each of its methods is one statement that the caller's live session is part of.
 */
export const createTaskRepository = (db: Db) => {
  const statements = createTaskStatements(db)
  type Changing = 'replace' | 'change' | 'complete' | 'remove' | 'restore'

  return (principal: Principal) => {
    const parametersOf = () => scopeParameters(principal)
    const write = async (
      name: Changing,
      id: string,
      expectedVersions: ExpectedVersions,
      values = {},
    ) => {
      const given = {
        ...values,
        id: normalizeId(id),
        versions: expectedVersions ? arrayLiteral(expectedVersions) : null,
        ...parametersOf(),
      }
      return outcome(await runWrite(() => statements[name].execute(given)))
    }

    return {
      async find(id: string): Promise<Task | null | undefined> {
        const found = await runRead(() =>
          statements.find.execute({ ...parametersOf(), id: normalizeId(id) }),
        )
        return found[0]?.task
      },

      async add(task: NewTask): Promise<Task | undefined> {
        const values = { ...insertParameters(task), id: Bun.randomUUIDv7(), ...parametersOf() }
        return (await runWrite(() => statements.add.execute(values)))[0]
      },

      addIdempotent(task: NewTask, idempotencyKey: IdempotencyKey) {
        const values = { ...insertParameters(task), ...idempotencyKey, id: Bun.randomUUIDv7() }
        return retryOnConflict(async () =>
          outcome(
            await runWrite(() =>
              statements.addIdempotent.execute({ ...values, ...parametersOf() }),
            ),
          ),
        )
      },

      replace: (id: string, task: TaskReplacement, expectedVersions: ExpectedVersions) =>
        write('replace', id, expectedVersions, {
          ...insertParameters(task),
          completed: task.completed,
        }),

      change: (id: string, changes: TaskChanges, expectedVersions: ExpectedVersions) =>
        write('change', id, expectedVersions, {
          ...patchParameters(changes),
          completed: changes.completed ?? null,
        }),

      /** Sets `completed`, or flips it where it is not said. */
      complete: (id: string, completed: boolean | undefined, expectedVersions: ExpectedVersions) =>
        write('complete', id, expectedVersions, { completed: completed ?? null }),

      completeIdempotent(
        id: string,
        completed: boolean | undefined,
        expectedVersions: ExpectedVersions,
        idempotencyKey: IdempotencyKey,
      ) {
        const values = { ...idempotencyKey, id: normalizeId(id), completed: completed ?? null }
        const versions = expectedVersions ? arrayLiteral(expectedVersions) : null
        return retryOnConflict(async () =>
          outcome(
            await runWrite(() =>
              statements.completeIdempotent.execute({ ...values, versions, ...parametersOf() }),
            ),
          ),
        )
      },

      remove: (id: string, expectedVersions: ExpectedVersions) =>
        write('remove', id, expectedVersions),
      restore: (id: string, expectedVersions: ExpectedVersions) =>
        write('restore', id, expectedVersions),
    }
  }
}

export type TaskRepository = ReturnType<typeof createTaskRepository>
