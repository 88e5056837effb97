import { init, type RequestOptions, unwrap } from './request.ts'
import type {
  ChangesPage,
  Http,
  TagCount,
  Task,
  TaskCounts,
  TaskQuery,
  TrashedTask,
} from './types.ts'

/** `limit` is the size of a page. */
export type PageQuery = { limit?: number }
/** `wait`: seconds that the last page waits for a change. */
export type ChangesQuery = PageQuery & { since?: string; wait?: number }
/** Reads a page when the items of the one before are used up. */
export type Items<Item> = AsyncGenerator<Item, void, undefined>

/** Iterators over what has several pages, and its numbers. */
export const createTaskLists = (http: Http) => ({
  /** All tasks that match the query. */
  list: (query: TaskQuery = {}, options: RequestOptions = {}): Items<Task> =>
    items(async (cursor) => {
      const params = { query: { ...query, ...cursor } }
      return unwrap(await http.GET('/api/tasks', { params, ...init(options) }))
    }),

  /** The deleted tasks, newest deletion first. */
  trash: (query: PageQuery = {}, options: RequestOptions = {}): Items<TrashedTask> =>
    items(async (cursor) => {
      const params = { query: { ...query, ...cursor } }
      return unwrap(await http.GET('/api/tasks/trash', { params, ...init(options) }))
    }),

  /** How many tasks there are, in all and per list. */
  counts: async (options: RequestOptions = {}): Promise<TaskCounts> =>
    unwrap(await http.GET('/api/tasks/counts', init(options))),

  /** The tags with their numbers of tasks. */
  tags: async (options: RequestOptions = {}): Promise<TagCount[]> =>
    unwrap(await http.GET('/api/tags', init(options))).tags,

  /**
   * What has changed since a token, page by page; without a token, all tasks there are. Apply the
   * changes of a page, then keep its `next`: it is the `since` of the next call.
   */
  async *changes(query: ChangesQuery = {}, options: RequestOptions = {}): Items<ChangesPage> {
    let next: { since?: string } = {}
    for (let hasMore = true; hasMore; ) {
      const params = { query: { ...query, ...next } }
      const page = unwrap(await http.GET('/api/tasks/changes', { params, ...init(options) }))
      // Without `include`, all changes are of tasks.
      yield page as ChangesPage
      next = { since: page.next }
      hasMore = page.has_more
    }
  },
})

type Page<Item> = { tasks: Item[]; next_cursor: string | null }

async function* items<Item>(
  readPage: (cursor: { cursor?: string }) => Promise<Page<Item>>,
): Items<Item> {
  let page = await readPage({})
  yield* page.tasks
  while (page.next_cursor !== null) {
    page = await readPage({ cursor: page.next_cursor })
    yield* page.tasks
  }
}
