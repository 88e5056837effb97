import { Elysia } from 'elysia'
import { alive, type SignedIn } from '../auth/guard.ts'
import { existing } from './answers.ts'
import * as operations from './trash-operations.ts'
import type { TrashOf } from './trash-repository.ts'

type Needs = { trashOf: TrashOf; signedIn: SignedIn }

/** Erasing for good. */
export const trashRoutes = ({ trashOf, signedIn }: Needs) =>
  new Elysia()
    .use(signedIn)

    .delete(
      '/trash/:id',
      async ({ caller, params, set }) => {
        existing(alive(await trashOf(caller).erase(params.id)) || null)
        set.status = 204
      },
      operations.erase,
    )

    .delete(
      '/trash',
      async ({ caller, set }) => {
        alive(await trashOf(caller).empty())
        set.status = 204
      },
      operations.emptyTrash,
    )
