import type { Db } from '../../db/database.ts'
import { runRead, runWrite } from '../../db/errors.ts'
import { type IdempotencyKey, retryOnConflict } from '../../db/idempotency.ts'
import type { ExpectedVersions } from '../../db/params.ts'
import { type Principal, scopeParameters } from '../../db/user-scope.ts'
import { normalizeId } from '../../schema/types.ts'
import {
  insertParameters,
  inZoneOfUser,
  lacksTimeZone,
  parameterOf,
  patchParameters,
} from './columns.ts'
import { completeWith } from './completing.ts'
import type { NewTask, Task, TaskPatch, TaskReplacement } from './schema.ts'
import { toTask } from './sql.ts'
import { createTaskStatements } from './statements.ts'
import { target, toResult } from './write-result.ts'

/**
 * The tasks of a principal. Each method is one statement that checks the session and is limited to its user; completing a
 * recurring task takes a second one.
 */
export const createTaskRepository = (db: Db) => {
  const plain = createTaskStatements(db)
  const inZone = createTaskStatements(db, inZoneOfUser(parameterOf))
  const statementsFor = (members: Partial<NewTask>) => (lacksTimeZone(members) ? inZone : plain)
  type Write = 'remove' | 'restore'

  return (principal: Principal) => {
    const scope = () => scopeParameters(principal)
    const complete = completeWith(principal)

    const write = async (name: Write, id: string, expected: ExpectedVersions, columns = {}) => {
      const values = { ...columns, ...target(id, expected), ...scope() }
      return toResult(await runWrite(() => plain[name].execute(values)))
    }
    const find = async (id: string): Promise<Task | null | undefined> => {
      const values = { ...scope(), id: normalizeId(id) }
      const [row] = await runRead(() => plain.find.execute(values))
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
        const [row] = await runWrite(() => statementsFor(task).add.execute(values))
        return row && toTask(row)
      },

      addIdempotent: (task: NewTask, key: IdempotencyKey) =>
        retryOnConflict(async () => {
          const values = { ...insertParameters(task), id: Bun.randomUUIDv7(), ...key, ...scope() }
          return toResult(await runWrite(() => statementsFor(task).addIdempotent.execute(values)))
        }),

      replace: (id: string, task: TaskReplacement, expected: ExpectedVersions) =>
        complete(statementsFor(task), 'replace', id, expected, {
          ...insertParameters(task),
          completed: task.completed ?? false,
        }),

      /** An empty patch changes nothing, and returns the task as it is. */
      change: (id: string, changes: TaskPatch, expected: ExpectedVersions) =>
        Object.keys(changes).length === 0
          ? unchanged(id, expected)
          : complete(statementsFor(changes), 'change', id, expected, {
              ...patchParameters(changes),
              completed: changes.completed ?? null,
            }),

      /** Sets `completed`, or toggles it if `completed` is undefined. */
      complete: (id: string, completed: boolean | undefined, expected: ExpectedVersions) =>
        complete(plain, 'complete', id, expected, { completed: completed ?? null }),

      completeIdempotent: (
        id: string,
        completed: boolean | undefined,
        expected: ExpectedVersions,
        key: IdempotencyKey,
      ) =>
        retryOnConflict(() =>
          complete(plain, 'completeIdempotent', id, expected, {
            ...key,
            completed: completed ?? null,
          }),
        ),

      remove: (id: string, expected: ExpectedVersions) => write('remove', id, expected),

      restore: (id: string, expected: ExpectedVersions) => write('restore', id, expected),
    }
  }
}

export type TaskRepository = ReturnType<typeof createTaskRepository>
