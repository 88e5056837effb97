import { Elysia } from 'elysia'
import { type Authenticated, requireSession } from '../../http/authenticated.ts'
import type { CursorCodec } from '../../http/cursor-codec.ts'
import { readPage } from '../../http/paging.ts'
import type { Task } from '../task/schema.ts'
import type { ListingRepository } from './repository.ts'
import { listTasks } from './schema.ts'
import { parseSorts, toCursorPosition } from './sorts.ts'

type Needs = { listing: ListingRepository; cursorCodec: CursorCodec; authenticated: Authenticated }

/** The list of tasks. */
export const listingRoutes = ({ listing, cursorCodec, authenticated }: Needs) =>
  new Elysia().use(authenticated).get(
    '',
    async ({ principal, query, set }) => {
      const { sort = '-created_at', limit: _limit, cursor: _cursor, ...filters } = query
      const sorts = parseSorts(sort)
      const { page, next_cursor } = await readPage(
        {
          cursorCodec,
          binding: JSON.stringify([
            principal.userId,
            'tasks',
            sort,
            Object.entries(filters).sort(),
          ]),
          path: '/api/tasks',
          query,
          positionOf: (task: Task) => toCursorPosition(task, sorts),
          read: async (rows, after) =>
            requireSession(await listing(principal).page(filters, { sorts, rows, after })),
        },
        set.headers,
      )
      return { tasks: page, next_cursor }
    },
    listTasks,
  )
