import { isProblem, versionOf } from './problem.ts'
import {
  conditional,
  idOf,
  init,
  type KeyedOptions,
  keyHeader,
  type RequestOptions,
  type TaskRef,
  unwrap,
} from './request.ts'
import type {
  CompletionResult,
  Http,
  NewTask,
  Task,
  TaskMove,
  TaskPatch,
  TaskReplacement,
} from './types.ts'

/** How often a change is made anew on a task that another client has changed meanwhile. */
const conflictsMax = 5

/** Reading a task, and changing it. */
const createUpdates = (http: Http) => {
  const get = async (id: string, options: RequestOptions = {}): Promise<Task> =>
    unwrap(await http.GET('/api/tasks/{id}', { params: { path: { id } }, ...init(options) }))

  const patch = async (task: TaskRef, body: TaskPatch, options: RequestOptions): Promise<Task> => {
    const params = conditional(task)
    return unwrap(await http.PATCH('/api/tasks/{id}', { params, body, ...init(options) }))
  }

  const modify = async (id: string, change: (task: Task) => TaskPatch, options: RequestOptions) => {
    for (let attempt = 1; ; attempt++) {
      const current = await get(id, options)
      try {
        return await patch(current, change(current), options)
      } catch (error) {
        if (!isProblem(error, 'version-mismatch') || attempt === conflictsMax) throw error
      }
    }
  }

  return { get, patch, modify }
}

/** Reads and writes of one task. */
export const createTaskOperations = (http: Http) => {
  const { get, patch, modify } = createUpdates(http)

  return {
    get,

    /** Adds a task. */
    create: async (body: NewTask, options: KeyedOptions = {}): Promise<Task> => {
      const params = { header: keyHeader(options) }
      return unwrap(await http.POST('/api/tasks', { params, body, ...init(options) }))
    },

    /**
     * Changes the members that are given. A function gets the current task, and is called again
     * with the new one if another client was faster.
     */
    update: async (
      task: TaskRef,
      changes: TaskPatch | ((current: Task) => TaskPatch),
      options: RequestOptions = {},
    ): Promise<Task> =>
      typeof changes === 'function'
        ? modify(idOf(task), changes, options)
        : patch(task, changes, options),

    /** Sets every member; those that are absent get their defaults. */
    replace: async (
      task: TaskRef,
      body: TaskReplacement,
      options: RequestOptions = {},
    ): Promise<Task> => {
      const params = conditional(task)
      return unwrap(await http.PUT('/api/tasks/{id}', { params, body, ...init(options) }))
    },

    /** Sets whether the task is completed; without a value, toggles it. */
    complete: async (
      task: TaskRef,
      completed?: boolean,
      options: KeyedOptions = {},
    ): Promise<CompletionResult> => {
      const { path, header } = conditional(task)
      const result = await http.PATCH('/api/tasks/{id}/complete', {
        params: { path, header: { ...header, ...keyHeader(options) } },
        ...(completed !== undefined && { body: { completed } }),
        ...init(options),
      })
      return { ...unwrap(result), version: versionOf(result.response) }
    },

    /** Moves the task within its list, or to another one. */
    move: async (task: TaskRef, body: TaskMove, options: RequestOptions = {}): Promise<Task> => {
      const params = conditional(task)
      return unwrap(await http.POST('/api/tasks/{id}/move', { params, body, ...init(options) }))
    },

    /** Moves the task to the trash. */
    delete: async (task: TaskRef, options: RequestOptions = {}): Promise<void> => {
      const params = conditional(task)
      unwrap(await http.DELETE('/api/tasks/{id}', { params, ...init(options) }))
    },

    /** Takes the task out of the trash. */
    restore: async (task: TaskRef, options: RequestOptions = {}): Promise<Task> => {
      const params = conditional(task)
      return unwrap(await http.POST('/api/tasks/{id}/restore', { params, ...init(options) }))
    },

    /** Erases a task that is in the trash. */
    erase: async (task: TaskRef, options: RequestOptions = {}): Promise<void> => {
      const params = { path: { id: idOf(task) } }
      unwrap(await http.DELETE('/api/tasks/trash/{id}', { params, ...init(options) }))
    },
  }
}
