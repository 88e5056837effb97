import type { Db } from '../../db/database.ts'
import { runRead, runWrite } from '../../db/errors.ts'
import {
  type IdempotencyKey,
  type KeyInFlight,
  retryOnConflict,
  type StoredResponse,
} from '../../db/idempotency.ts'
import { arrayLiteral, type ExpectedVersions } from '../../db/params.ts'
import { type Principal, scopeParameters } from '../../db/user-scope.ts'
import { normalizeId } from '../../schema/types.ts'
import { insertParameters, patchParameters } from './columns.ts'
import type { NewTask, Task, TaskPatch, TaskReplacement } from './schema.ts'
import { type StoredTask, toTask } from './sql.ts'
import { createTaskStatements } from './statements.ts'

/**
 * The result of a write: the written task; or the current version, if it is not an expected one; or the stored
 * response of the same idempotency key.
 */
export type WriteResult =
  | { task: Task }
  | { version: number }
  | { storedResponse: StoredResponse }
  | KeyInFlight

type Row = {
  task: StoredTask | null
  current?: { version: number } | null
  earlierResponse?: StoredResponse | null
}

/** `undefined`: the session has ended. `null`: the user has no such task. */
const toResult = ([row]: Row[]): WriteResult | null | undefined => {
  if (row === undefined) return undefined
  if (row.earlierResponse) return { storedResponse: row.earlierResponse }
  if (row.task) return { task: toTask(row.task) }
  return row.current ? { version: row.current.version } : null
}

/** The tasks of a principal. Each method is one statement that checks the session and is limited to its user. */
export const createTaskRepository = (db: Db) => {
  const statements = createTaskStatements(db)
  type Write = 'replace' | 'change' | 'complete' | 'remove' | 'restore'
  type IdempotentWrite = 'addIdempotent' | 'completeIdempotent'

  return (principal: Principal) => {
    const scope = () => scopeParameters(principal)

    const write = async (name: Write, id: string, expected: ExpectedVersions, columns = {}) => {
      const values = { ...columns, ...target(id, expected), ...scope() }
      return toResult(await runWrite(() => statements[name].execute(values)))
    }
    const writeOnce = (name: IdempotentWrite, key: IdempotencyKey, columns: object) =>
      retryOnConflict(async () => {
        const values = { ...columns, ...key, ...scope() }
        return toResult(await runWrite(() => statements[name].execute(values)))
      })

    const find = async (id: string): Promise<Task | null | undefined> => {
      const values = { ...scope(), id: normalizeId(id) }
      const [row] = await runRead(() => statements.find.execute(values))
      return row?.task && toTask(row.task)
    }
    const unchanged = async (id: string, expected: ExpectedVersions) => {
      const task = await find(id)
      if (!task) return task
      const isExpected = expected === undefined || expected.includes(task.version)
      return isExpected ? { task } : { version: task.version }
    }

    return {
      find,

      async add(task: NewTask): Promise<Task | undefined> {
        const values = { ...insertParameters(task), id: Bun.randomUUIDv7(), ...scope() }
        const [row] = await runWrite(() => statements.add.execute(values))
        return row && toTask(row)
      },

      addIdempotent: (task: NewTask, key: IdempotencyKey) =>
        writeOnce('addIdempotent', key, { ...insertParameters(task), id: Bun.randomUUIDv7() }),

      replace: (id: string, task: TaskReplacement, expected: ExpectedVersions) =>
        write('replace', id, expected, {
          ...insertParameters(task),
          completed: task.completed ?? false,
        }),

      /** An empty patch changes nothing, and returns the task as it is. */
      change: (id: string, changes: TaskPatch, expected: ExpectedVersions) =>
        Object.keys(changes).length === 0
          ? unchanged(id, expected)
          : write('change', id, expected, {
              ...patchParameters(changes),
              completed: changes.completed ?? null,
            }),

      /** Sets `completed`, or toggles it if `completed` is undefined. */
      complete: (id: string, completed: boolean | undefined, expected: ExpectedVersions) =>
        write('complete', id, expected, { completed: completed ?? null }),

      completeIdempotent: (
        id: string,
        completed: boolean | undefined,
        expected: ExpectedVersions,
        key: IdempotencyKey,
      ) =>
        writeOnce('completeIdempotent', key, {
          ...target(id, expected),
          completed: completed ?? null,
        }),

      remove: (id: string, expected: ExpectedVersions) => write('remove', id, expected),

      restore: (id: string, expected: ExpectedVersions) => write('restore', id, expected),
    }
  }
}

export type TaskRepository = ReturnType<typeof createTaskRepository>

const target = (id: string, expected: ExpectedVersions) => ({
  id: normalizeId(id),
  versions: expected ? arrayLiteral(expected) : null,
})
