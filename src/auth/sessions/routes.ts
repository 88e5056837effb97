import { Elysia } from 'elysia'
import type { Config } from '../../config/config.ts'
import { type Authenticated, requireSession } from '../../http/authenticated.ts'
import { auditFields } from '../../http/principal.ts'
import { throwProblem } from '../../http/problem.ts'
import type { Log } from '../../log.ts'
import { normalizeId } from '../../schema/types.ts'
import { accessTokenResponse, type Jwt } from '../access-tokens/jwt.ts'
import type { SessionRepository } from './repository.ts'
import { endAllSessions, endSession, listSessions, logout, refresh } from './schema.ts'

type Needs = {
  config: Pick<Config, 'jwt'>
  sessions: SessionRepository
  jwt: Jwt
  authenticated: Authenticated
  log: Log
}

/** The sessions of the current user. */
export const sessionRoutes = ({ config, sessions, jwt, authenticated, log }: Needs) =>
  new Elysia({ prefix: '/auth', detail: { tags: ['Sessions'] } })
    .use(authenticated)
    .derive(({ principal }) => ({ own: sessions(principal) }))

    .get(
      '/sessions',
      async ({ own }) => ({ sessions: requireSession(await own.list()) }),
      listSessions,
    )

    .delete(
      '/sessions',
      async ({ own, principal, set }) => {
        requireSession((await own.endAll()) || undefined)
        log.info('all sessions ended', auditFields(principal))
        set.status = 204
      },
      endAllSessions,
    )

    .delete(
      '/sessions/:id',
      async ({ own, principal, params, set }) => {
        const hasEnded = requireSession(await own.end(normalizeId(params.id)))
        if (!hasEnded) throwProblem('session-not-found')
        log.info('session ended', auditFields(principal))
        set.status = 204
      },
      endSession,
    )

    .post(
      '/logout',
      async ({ own, principal, set }) => {
        requireSession(await own.end(principal.sessionId))
        log.info('signed out', auditFields(principal))
        set.status = 204
      },
      logout,
    )

    .post(
      '/refresh',
      async ({ own, principal }) => {
        const expires_at = requireSession(await own.refresh(config.jwt))
        return accessTokenResponse(jwt, principal.userId, { id: principal.sessionId, expires_at })
      },
      refresh,
    )
