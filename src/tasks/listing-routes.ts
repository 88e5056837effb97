import { Elysia } from 'elysia'
import { alive, type SignedIn } from '../auth/guard.ts'
import { refuse } from '../errors.ts'
import type { Head } from './answers.ts'
import { type ListsOf, positionOf } from './listing-repository.ts'
import * as operations from './operations.ts'
import type { Position, Seals } from './seals.ts'
import * as trashOperations from './trash-operations.ts'

type Needs = { listsOf: ListsOf; seals: Seals; signedIn: SignedIn }

/** Pages of tasks, and of the trash. */
export const listingRoutes = ({ listsOf, seals, signedIn }: Needs) => {
  const opened = (cursor: string | undefined, bound: () => string): Position | undefined =>
    cursor === undefined
      ? undefined
      : (seals.open<Position>(cursor, bound()) ?? refuse('malformed-request'))

  return new Elysia()
    .use(signedIn)
    .derive(({ caller }) => ({ lists: listsOf(caller) }))

    .get(
      '',
      async ({ lists, caller, query, set }) => {
        const { sort = '-created_at', limit = '50', cursor, ...filters } = query
        const bound = () =>
          JSON.stringify([caller.userId, 'tasks', sort, Object.entries(filters).sort()])
        const after = opened(cursor, bound)

        const rows = alive(await lists.page(filters, { sort, rows: Number(limit) + 1, after }))

        const { page, last } = split(rows, Number(limit))
        const next_cursor = last ? seals.seal(positionOf(last, sort), bound()) : null
        if (next_cursor !== null) link(set, '/api/tasks', { ...query, cursor: next_cursor })
        return { tasks: page, next_cursor }
      },
      operations.list,
    )

    .get(
      '/trash',
      async ({ lists, caller, query, set }) => {
        const { limit = '50', cursor } = query
        const bound = () => JSON.stringify([caller.userId, 'trash'])
        const after = opened(cursor, bound)

        const rows = alive(await lists.trash(Number(limit) + 1, after))

        const { page, last } = split(rows, Number(limit))
        const next_cursor = last ? seals.seal([last.deleted_at, last.id], bound()) : null
        if (next_cursor !== null) link(set, '/api/tasks/trash', { ...query, cursor: next_cursor })
        return { tasks: page, next_cursor }
      },
      trashOperations.listTrash,
    )
}

/** One row more than the page was read: if it is there, there is more to come. */
const split = <Row>(rows: Row[], limit: number) => {
  const page = rows.slice(0, limit)
  return { page, last: rows.length > limit ? page.at(-1) : undefined }
}

/** RFC 8288, path only: what the service is called from outside is not its to know. */
const link = (set: Head, path: string, query: Record<string, string | string[] | undefined>) => {
  const parameters = new URLSearchParams(
    Object.entries(query).flatMap(([name, values]) =>
      [values ?? []].flat().map((value): [string, string] => [name, value]),
    ),
  )
  set.headers.link = `<${path}?${parameters}>; rel="next"`
}
