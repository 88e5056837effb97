import { Elysia } from 'elysia'
import { type Authenticated, requireSession } from '../../http/authenticated.ts'
import { requireTask } from '../task/responses.ts'
import type { TrashRepository } from './repository.ts'
import * as operations from './schema.ts'

type Needs = { trashRepository: TrashRepository; authenticated: Authenticated }

/** Erasing for good. */
export const trashRoutes = ({ trashRepository, authenticated }: Needs) =>
  new Elysia()
    .use(authenticated)

    .delete(
      '/trash/:id',
      async ({ principal, params, set }) => {
        requireTask(requireSession(await trashRepository(principal).erase(params.id)) || null)
        set.status = 204
      },
      operations.erase,
    )

    .delete(
      '/trash',
      async ({ principal, set }) => {
        requireSession(await trashRepository(principal).empty())
        set.status = 204
      },
      operations.emptyTrash,
    )
