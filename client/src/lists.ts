import { conditional, init, type RequestOptions, type TaskRef, unwrap } from './request.ts'
import type { Http, List, NewList, Place } from './types.ts'

/** Which list, as `TaskRef` for tasks: one that was read stands for its version. */
export type ListRef = TaskRef

/** The lists of the user who is signed in. */
export const createListOperations = (http: Http) => ({
  /** All lists, in their order. */
  all: async (options: RequestOptions = {}): Promise<List[]> =>
    unwrap(await http.GET('/api/lists', init(options))).lists,

  get: async (id: string, options: RequestOptions = {}): Promise<List> =>
    unwrap(await http.GET('/api/lists/{id}', { params: { path: { id } }, ...init(options) })),

  create: async (body: NewList, options: RequestOptions = {}): Promise<List> =>
    unwrap(await http.POST('/api/lists', { body, ...init(options) })),

  rename: async (list: ListRef, name: string, options: RequestOptions = {}): Promise<List> => {
    const params = conditional(list)
    return unwrap(await http.PATCH('/api/lists/{id}', { params, body: { name }, ...init(options) }))
  },

  /** Moves the list before or after another one. */
  move: async (list: ListRef, body: Place, options: RequestOptions = {}): Promise<List> => {
    const params = conditional(list)
    return unwrap(await http.POST('/api/lists/{id}/move', { params, body, ...init(options) }))
  },

  /** Deletes the list; its tasks go to the inbox, or to the trash. */
  delete: async (
    list: ListRef,
    { tasks, ...options }: RequestOptions & { tasks?: 'inbox' | 'trash' } = {},
  ): Promise<void> => {
    const params = { ...conditional(list), query: tasks === undefined ? {} : { tasks } }
    unwrap(await http.DELETE('/api/lists/{id}', { params, ...init(options) }))
  },
})
