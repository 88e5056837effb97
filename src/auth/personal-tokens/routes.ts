import { Elysia } from 'elysia'
import type { Log } from '../../log.ts'
import { type Authenticated, requireSession } from '../../http/authenticated.ts'
import { auditFields, type RequestPrincipal } from '../../http/principal.ts'
import { throwProblem } from '../../http/problem.ts'
import { normalizeId } from '../../schema/types.ts'
import type { AccessTokens } from '../access-tokens/jwt.ts'
import * as operations from '../operations.ts'
import { type createPersonalTokenRepository, grantedScope } from './repository.ts'

type Needs = {
  tokensOf: (principal: RequestPrincipal) => ReturnType<typeof createPersonalTokenRepository>
  tokens: AccessTokens
  authenticated: Authenticated
  log: Log
}

/** Personal access tokens: for scripts, which have no password to be asked for. */
export const tokenRoutes = ({ tokensOf, tokens, authenticated, log }: Needs) =>
  new Elysia({ prefix: '/auth/tokens', detail: { tags: ['Tokens'] } })
    .use(authenticated)

    .post(
      '',
      async ({ principal, body, set }) => {
        const made = requireSession(await tokensOf(principal).add(body))
        const { id, scope, expires_at } = made
        log.info('token made', auditFields(principal))
        set.status = 201
        set.headers.location = `/api/auth/tokens/${id}`
        const access_token = await tokens.sign(
          principal.userId,
          id,
          expires_at,
          grantedScope(scope),
        )
        return { ...made, access_token }
      },
      operations.createToken,
    )

    .get(
      '',
      async ({ principal }) => ({ tokens: requireSession(await tokensOf(principal).list()) }),
      operations.listTokens,
    )

    .delete(
      '/:id',
      async ({ principal, params, set }) => {
        if (!requireSession(await tokensOf(principal).end(normalizeId(params.id))))
          throwProblem('token-not-found')
        log.info('token ended', auditFields(principal))
        set.status = 204
      },
      operations.endToken,
    )
