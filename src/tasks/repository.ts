import { type Caller, whoOf } from '../auth/caller.ts'
import type { Db } from '../db/client.ts'
import { reading, writing } from '../db/faults.ts'
import { idOf } from '../shapes.ts'
import { changesOf, draftOf } from './fields.ts'
import type { NewTask, Task, TaskChanges, TaskReplacement } from './model.ts'
import { type InFlight, type KeptAnswer, type Once, orAgain } from './once.ts'
import { arrayOf } from './statements.ts'
import { statementsOf } from './task-statements.ts'

/** Which versions a write may meet (`If-Match`); nothing: any. */
export type Condition = readonly number[] | undefined

/**
 * What became of a write: the task as it is now; or, where the condition did not hold,
 * its current version; or the answer that was kept under the same key.
 */
export type Written = { task: Task } | { version: number } | { kept: KeptAnswer } | InFlight

type Row = {
  task: Task | null
  current?: { version: number } | null
  earlier?: KeptAnswer | null
}

/** `undefined`: the session has ended. `null`: there is no such task. */
const outcome = ([row]: Row[]): Written | null | undefined => {
  if (row === undefined) return undefined
  if (row.earlier) return { kept: row.earlier }
  if (row.task) return { task: row.task }
  return row.current ? { version: row.current.version } : null
}

/**
 * The tasks of whoever asks. What is given a caller reaches no row of anybody else,
 * and each of its methods is one statement that the caller's live session is part of.
 */
export const taskRepository = (db: Db) => {
  const statements = statementsOf(db)
  type Changing = 'replace' | 'change' | 'complete' | 'remove' | 'restore'

  return (caller: Caller) => {
    const bound = () => whoOf(caller)
    const write = async (name: Changing, id: string, condition: Condition, values = {}) => {
      const given = {
        ...values,
        id: idOf(id),
        versions: condition ? arrayOf(condition) : null,
        ...bound(),
      }
      return outcome(await writing(() => statements[name].execute(given)))
    }

    return {
      async find(id: string): Promise<Task | null | undefined> {
        const found = await reading(() => statements.find.execute({ ...bound(), id: idOf(id) }))
        return found[0]?.task
      },

      async add(task: NewTask): Promise<Task | undefined> {
        const values = { ...draftOf(task), id: Bun.randomUUIDv7(), ...bound() }
        return (await writing(() => statements.add.execute(values)))[0]
      },

      addOnce(task: NewTask, once: Once) {
        const values = { ...draftOf(task), ...once, id: Bun.randomUUIDv7() }
        return orAgain(async () =>
          outcome(await writing(() => statements.addOnce.execute({ ...values, ...bound() }))),
        )
      },

      replace: (id: string, task: TaskReplacement, condition: Condition) =>
        write('replace', id, condition, { ...draftOf(task), completed: task.completed }),

      change: (id: string, changes: TaskChanges, condition: Condition) =>
        write('change', id, condition, {
          ...changesOf(changes),
          completed: changes.completed ?? null,
        }),

      /** Sets `completed`, or flips it where it is not said. */
      complete: (id: string, completed: boolean | undefined, condition: Condition) =>
        write('complete', id, condition, { completed: completed ?? null }),

      completeOnce(id: string, completed: boolean | undefined, condition: Condition, once: Once) {
        const values = { ...once, id: idOf(id), completed: completed ?? null }
        const versions = condition ? arrayOf(condition) : null
        return orAgain(async () =>
          outcome(
            await writing(() =>
              statements.completeOnce.execute({ ...values, versions, ...bound() }),
            ),
          ),
        )
      },

      remove: (id: string, condition: Condition) => write('remove', id, condition),
      restore: (id: string, condition: Condition) => write('restore', id, condition),
    }
  }
}

export type TasksOf = ReturnType<typeof taskRepository>
