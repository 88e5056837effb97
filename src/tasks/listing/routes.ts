import { Elysia } from 'elysia'
import { type Authenticated, requireSession } from '../../http/authenticated.ts'
import type { CursorCodec, CursorPosition } from '../../http/cursor-codec.ts'
import { throwProblem } from '../../http/problem.ts'
import * as operations from '../task/operations.ts'
import type { ResponseHead } from '../task/responses.ts'
import * as trashOperations from '../trash/schema.ts'
import { type ListingRepository, toCursorPosition } from './repository.ts'

type Needs = {
  listingRepository: ListingRepository
  cursorCodec: CursorCodec
  authenticated: Authenticated
}

/** Pages of tasks, and of the trash. */
export const listingRoutes = ({ listingRepository, cursorCodec, authenticated }: Needs) => {
  const decodeCursor = (
    cursor: string | undefined,
    binding: () => string,
  ): CursorPosition | undefined =>
    cursor === undefined
      ? undefined
      : (cursorCodec.decode<CursorPosition>(cursor, binding()) ?? throwProblem('malformed-request'))

  return new Elysia()
    .use(authenticated)
    .derive(({ principal }) => ({ lists: listingRepository(principal) }))

    .get(
      '',
      async ({ lists, principal, query, set }) => {
        const { sort = '-created_at', limit = '50', cursor, ...filters } = query
        const binding = () =>
          JSON.stringify([principal.userId, 'tasks', sort, Object.entries(filters).sort()])
        const after = decodeCursor(cursor, binding)

        const rows = requireSession(
          await lists.page(filters, { sort, rows: Number(limit) + 1, after }),
        )

        const { page, last } = split(rows, Number(limit))
        const next_cursor = last
          ? cursorCodec.encode(toCursorPosition(last, sort), binding())
          : null
        if (next_cursor !== null) link(set, '/api/tasks', { ...query, cursor: next_cursor })
        return { tasks: page, next_cursor }
      },
      operations.list,
    )

    .get(
      '/trash',
      async ({ lists, principal, query, set }) => {
        const { limit = '50', cursor } = query
        const binding = () => JSON.stringify([principal.userId, 'trash'])
        const after = decodeCursor(cursor, binding)

        const rows = requireSession(await lists.trash(Number(limit) + 1, after))

        const { page, last } = split(rows, Number(limit))
        const next_cursor = last ? cursorCodec.encode([last.deleted_at, last.id], binding()) : null
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
const link = (
  set: ResponseHead,
  path: string,
  query: Record<string, string | string[] | number | boolean | undefined>,
) => {
  const parameterOf = new URLSearchParams(
    Object.entries(query).flatMap(([name, values]) =>
      [values ?? []].flat().map((value): [string, string] => [name, String(value)]),
    ),
  )
  set.headers.link = `<${path}?${parameterOf}>; rel="next"`
}
