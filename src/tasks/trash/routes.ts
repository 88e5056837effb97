import { Elysia } from 'elysia'
import { type Authenticated, requireSession } from '../../http/authenticated.ts'
import { parseIfMatch } from '../../http/conditional.ts'
import type { CursorCodec } from '../../http/cursor-codec.ts'
import { readPage } from '../../http/paging.ts'
import type { TaskRepository } from '../task/repository.ts'
import { requireTask, respondToWrite } from '../task/responses.ts'
import type { TrashRepository } from './repository.ts'
import { emptyTrash, eraseTask, listTrash, restoreTask, type TrashedTask } from './schema.ts'

type Needs = {
  trash: TrashRepository
  tasks: TaskRepository
  cursorCodec: CursorCodec
  authenticated: Authenticated
}

/** The trash: list, restore and erase. */
export const trashRoutes = ({ trash, tasks, cursorCodec, authenticated }: Needs) =>
  new Elysia()
    .use(authenticated)

    .get(
      '/trash',
      async ({ principal, query, set }) => {
        const { page, next_cursor } = await readPage(
          {
            cursorCodec,
            binding: JSON.stringify([principal.userId, 'trash']),
            path: '/api/tasks/trash',
            query,
            positionOf: ({ deleted_at, id }: TrashedTask) => [deleted_at, id],
            read: async (rows, after) => requireSession(await trash(principal).page(rows, after)),
          },
          set.headers,
        )
        return { tasks: page, next_cursor }
      },
      listTrash,
    )

    .post(
      '/:id/restore',
      async ({ principal, params, request, set }) =>
        respondToWrite(
          await tasks(principal).restore(params.id, parseIfMatch(request.headers)),
          set,
        ),
      restoreTask,
    )

    .delete(
      '/trash/:id',
      async ({ principal, params, set }) => {
        requireTask(requireSession(await trash(principal).erase(params.id)) || null)
        set.status = 204
      },
      eraseTask,
    )

    .delete(
      '/trash',
      async ({ principal, set }) => {
        requireSession(await trash(principal).empty())
        set.status = 204
      },
      emptyTrash,
    )
