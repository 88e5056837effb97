import { Elysia } from 'elysia'
import { type Authenticated, requireSession } from '../../http/authenticated.ts'
import { auditFields } from '../../http/principal.ts'
import { throwProblem } from '../../http/problem.ts'
import type { Log } from '../../log.ts'
import { normalizeId } from '../../schema/types.ts'
import type { SessionRepository } from './repository.ts'
import { endAllSessions, endSession, listSessions } from './schema.ts'

type Needs = {
  sessions: SessionRepository
  authenticated: Authenticated
  log: Log
}

/** The sessions of the current user. */
export const sessionRoutes = ({ sessions, authenticated, log }: Needs) =>
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
