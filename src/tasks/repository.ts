import type { Caller } from '../auth/caller.ts'
import type { Db } from '../db/client.ts'
import { reading, violates, writing } from '../db/faults.ts'
import { now } from '../db/now.ts'
import { idOf } from '../shapes.ts'
import { changesOf, draftOf } from './fields.ts'
import type { NewTask, Task, TaskChanges, TaskReplacement } from './model.ts'
import { arrayOf } from './statements.ts'
import { statementsOf } from './task-statements.ts'

/** Which versions a write may meet (`If-Match`); nothing: any. */
export type Condition = readonly number[] | undefined

/** Under which key an effect may happen once. `fingerprint`: of the request that asks for it. */
export type Once = { route: string; key: string; fingerprint: string }
export type KeptAnswer = { fingerprint: string; body: string; etag: string | null }

/**
 * What became of a write: the task as it is now; or, where the condition did not hold,
 * its current version; or the answer that was kept under the same key.
 */
export type Written = { task: Task } | { version: number } | { kept: KeptAnswer } | InFlight

/** Another request under the same key is not done yet, and has no answer to give. */
export type InFlight = { inFlight: true }

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

/** A twin that broke the key's uniqueness finds the first one's answer when it asks again. */
export const orAgain = async <T>(run: () => Promise<T>): Promise<T | InFlight> => {
  const isTwin = (error: unknown) => violates(error, 'idempotency_keys_user_id_route_key_pk')
  try {
    return await run()
  } catch (error) {
    if (!isTwin(error)) throw error
  }
  try {
    return await run()
  } catch (error) {
    if (!isTwin(error)) throw error
    return { inFlight: true }
  }
}

/**
 * The tasks of whoever asks. What is given a caller reaches no row of anybody else,
 * and each of its methods is one statement that the caller's live session is part of.
 */
export const taskRepository = (db: Db) => {
  const statements = statementsOf(db)
  type Changing = 'replace' | 'change' | 'complete' | 'remove' | 'restore'

  return ({ userId, sessionId }: Caller) => {
    const bound = () => ({ user: userId, session: sessionId, now: now() })
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
