import { Elysia } from 'elysia'
import { type Authenticated, requireSession } from '../../http/authenticated.ts'
import { parseIfMatch } from '../../http/conditional.ts'
import { throwInvalidRequest, throwProblem } from '../../http/problem.ts'
import { respondToWrite } from '../task/responses.ts'
import { noSuchList } from '../task/stored-conflicts.ts'
import { toAnchor } from './anchor.ts'
import type { MoveRepository } from './repository.ts'
import { moveTask } from './schema.ts'

type Needs = { moves: MoveRepository; authenticated: Authenticated }

/** The order of tasks. */
export const moveRoutes = ({ moves, authenticated }: Needs) =>
  new Elysia().use(authenticated).post(
    '/:id/move',
    async ({ principal, params, body, request, set }) => {
      const anchor = toAnchor(params.id, body)
      const move = moves(principal)
      const result = requireSession(
        await move(params.id, { ...body, anchor }, parseIfMatch(request.headers)),
      )
      if (result === null || !('missing' in result)) return respondToWrite(result, set)
      if (result.missing === 'list')
        return throwProblem('invalid-request', { errors: [noSuchList()] })
      return throwInvalidRequest(`/${anchor?.side}`, 'no such task in this list')
    },
    moveTask,
  )
