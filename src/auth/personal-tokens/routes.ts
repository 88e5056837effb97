import { Elysia } from 'elysia'
import { type Authenticated, requireSession } from '../../http/authenticated.ts'
import { auditFields } from '../../http/principal.ts'
import { throwProblem } from '../../http/problem.ts'
import type { Log } from '../../log.ts'
import { normalizeId } from '../../schema/types.ts'
import type { Jwt } from '../access-tokens/jwt.ts'
import { type CalendarSecrets, calendarScope, hashOf } from '../calendar-feeds/secret.ts'
import { grantedScope, type PersonalTokenRepository } from './repository.ts'
import { createPersonalToken, listPersonalTokens, revokePersonalToken } from './schema.ts'

type Needs = {
  personalTokens: PersonalTokenRepository
  calendarSecrets: CalendarSecrets
  /** The origin of the service, for the client that sends the request. */
  originOf: (request: Request) => string
  jwt: Jwt
  authenticated: Authenticated
  log: Log
}

/** Personal access tokens, for scripts. */
export const personalTokenRoutes = ({
  personalTokens,
  calendarSecrets,
  originOf,
  jwt,
  authenticated,
  log,
}: Needs) =>
  new Elysia({ prefix: '/auth/tokens', detail: { tags: ['Tokens'] } })
    .use(authenticated)

    .post(
      '',
      async ({ principal, body, request, set }) => {
        const id = Bun.randomUUIDv7()
        const secret =
          body.scope === calendarScope
            ? calendarSecrets.issue({ userId: principal.userId, sessionId: id })
            : undefined
        const hash = secret && hashOf(secret)
        const token = requireSession(await personalTokens(principal).add(id, body, hash))
        const { scope, expires_at } = token
        log.info('token made', auditFields(principal))
        set.status = 201
        set.headers.location = `/api/auth/tokens/${id}`
        if (secret !== undefined)
          return { ...token, feed_url: `${originOf(request)}/api/calendar/${secret}.ics` }
        const access_token = await jwt.sign(principal.userId, id, expires_at, grantedScope(scope))
        return { ...token, access_token }
      },
      createPersonalToken,
    )

    .get(
      '',
      async ({ principal }) => ({ tokens: requireSession(await personalTokens(principal).list()) }),
      listPersonalTokens,
    )

    .delete(
      '/:id',
      async ({ principal, params, set }) => {
        const hasEnded = requireSession(await personalTokens(principal).end(normalizeId(params.id)))
        if (!hasEnded) throwProblem('token-not-found')
        log.info('token ended', auditFields(principal))
        set.status = 204
      },
      revokePersonalToken,
    )
