import { Elysia } from 'elysia'
import type { Log } from '../../log.ts'
import { type Authenticated, requireSession } from '../../http/authenticated.ts'
import { auditFields, type RequestPrincipal } from '../../http/principal.ts'
import { throwProblem } from '../../http/problem.ts'
import { normalizeId } from '../../schema/types.ts'
import { type AccessTokens, accessTokenResponse } from '../access-tokens/jwt.ts'
import * as operations from '../operations.ts'
import type { createSessionRepository } from './repository.ts'

type Needs = {
  createSessionRepository: (
    principal: RequestPrincipal,
  ) => ReturnType<typeof createSessionRepository>
  tokens: AccessTokens
  /** A session's tokens live for so long, and it for so many days after sign-in at most. */
  ttlSeconds: number
  sessionMaxDays: number
  authenticated: Authenticated
  log: Log
}

/** Where one is signed in, and how that ends. */
export const sessionRoutes = (needs: Needs) => {
  const { createSessionRepository, tokens, ttlSeconds, sessionMaxDays, authenticated, log } = needs

  return new Elysia({ prefix: '/auth', detail: { tags: ['Sessions'] } })
    .use(authenticated)
    .derive(({ principal }) => ({ sessions: createSessionRepository(principal) }))

    .get(
      '/sessions',
      async ({ sessions }) => ({ sessions: requireSession(await sessions.list()) }),
      operations.listSessions,
    )

    .delete(
      '/sessions',
      async ({ sessions, principal, set }) => {
        requireSession((await sessions.endAll()) || undefined)
        log.info('all sessions ended', auditFields(principal))
        set.status = 204
      },
      operations.endSessions,
    )

    .delete(
      '/sessions/:id',
      async ({ sessions, principal, params, set }) => {
        if (!requireSession(await sessions.end(normalizeId(params.id))))
          throwProblem('session-not-found')
        log.info('session ended', auditFields(principal))
        set.status = 204
      },
      operations.endSession,
    )

    .post(
      '/logout',
      async ({ sessions, principal, set }) => {
        requireSession(await sessions.end(principal.sessionId))
        log.info('signed out', auditFields(principal))
        set.status = 204
      },
      operations.logout,
    )

    .post(
      '/refresh',
      async ({ sessions, principal }) => {
        const expires_at = requireSession(await sessions.refresh(ttlSeconds, sessionMaxDays))
        return accessTokenResponse(tokens, principal.userId, {
          id: principal.sessionId,
          expires_at,
        })
      },
      operations.refresh,
    )
}
