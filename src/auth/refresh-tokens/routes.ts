import { Elysia } from 'elysia'
import type { Config } from '../../config/config.ts'
import { epochMs } from '../../db/clock.ts'
import { requireSession } from '../../http/authenticated.ts'
import { bearerChallenge } from '../../http/bearer.ts'
import { auditFields, type RequestPrincipal } from '../../http/principal.ts'
import { throwProblem } from '../../http/problem.ts'
import type { RequestContexts } from '../../http/request-context.ts'
import type { Log } from '../../log.ts'
import { accessTokenResponse, type Jwt } from '../access-tokens/jwt.ts'
import type { SessionRepository } from '../sessions/repository.ts'
import type { RefreshCookie } from './cookie.ts'
import type { Redeem } from './redeem.ts'
import type { RefreshTokenRepository } from './repository.ts'
import { logout, refresh } from './schema.ts'
import type { RefreshClaims, RefreshTokens } from './token.ts'
import type { TokenResponse } from './token-response.ts'

type Needs = {
  config: Pick<Config, 'jwt'>
  sessions: SessionRepository
  jwt: Jwt
  refreshTokens: RefreshTokens
  redeem: Redeem
  refreshTokenRepository: RefreshTokenRepository
  refreshCookie: RefreshCookie
  tokenResponse: TokenResponse
  contexts: RequestContexts
  log: Log
}

/** The routes that also accept a refresh token, because the access token may have expired. */
export const refreshTokenRoutes = (needs: Needs) => {
  const {
    config,
    sessions,
    jwt,
    redeem,
    refreshTokenRepository,
    refreshCookie,
    tokenResponse,
    contexts,
    log,
  } = needs

  return new Elysia({ prefix: '/auth', detail: { tags: ['Sessions'] } })
    .derive(({ request, body }) => authenticate(needs, request, body))

    .post(
      '/refresh',
      async ({ principal, refreshToken, query, request, set }) => {
        const { userId, sessionId } = principal
        if (refreshToken === undefined) {
          const expires_at = requireSession(await sessions(principal).refresh(config.jwt))
          return accessTokenResponse(jwt, userId, { id: sessionId, expires_at })
        }

        const { claims, isFromCookie } = refreshToken
        const refreshed = requireSession(await redeem(claims, contexts.of(request)))
        const tokens = await tokenResponse(refreshed)
        // A token from the cookie stays out of the reach of scripts.
        return query.session === 'cookie' || isFromCookie
          ? refreshCookie.deliver(tokens, { request, set })
          : tokens
      },
      refresh,
    )

    .post(
      '/logout',
      async ({ principal, refreshToken, request, set }) => {
        const hasEnded = refreshToken
          ? await refreshTokenRepository.end(principal)
          : await sessions(principal).end(principal.sessionId)
        requireSession(hasEnded || undefined)
        log.info('signed out', auditFields(principal))
        refreshCookie.clear({ request, set })
        set.status = 204
      },
      logout,
    )
}

type Authentication = {
  principal: RequestPrincipal
  /** Undefined: the request has a valid access token, and no refresh token in its body. */
  refreshToken: { claims: RefreshClaims; isFromCookie: boolean } | undefined
}

/**
 * Finds out whose session a request is about: by the refresh token in the body, by the access token that the route
 * guard has verified, or by the cookie, in this order. 401 without any, 403 for a cookie from another origin.
 */
const authenticate = (
  { contexts, refreshTokens, refreshCookie }: Needs,
  request: Request,
  body: unknown,
): Authentication => {
  const context = contexts.of(request)
  const accepts = (place: 'body' | 'cookie') => context.refreshTokenIn.includes(place)
  const inBody = accepts('body') ? refreshTokenOf(body) : undefined
  if (inBody === undefined && context.principal !== undefined)
    return { principal: context.principal, refreshToken: undefined }

  const isFromCookie = inBody === undefined
  const token = inBody ?? refreshCookie.read(request)
  if (token !== undefined && isFromCookie && !refreshCookie.isFromAllowedOrigin(request))
    throwProblem('origin-not-allowed')
  const claims = token === undefined ? undefined : refreshTokens.verify(token)
  if (claims === undefined) {
    const isSent = token !== undefined || context.tokenSent
    return throwProblem('unauthenticated', { headers: bearerChallenge(isSent) })
  }

  const { userId, sessionId } = claims
  const { address, id: requestId } = context
  const expiresAtMs = epochMs()
  context.principal = { userId, sessionId, scope: undefined, expiresAtMs, address, requestId }
  return { principal: context.principal, refreshToken: { claims, isFromCookie } }
}

const refreshTokenOf = (body: unknown): string | undefined => {
  if (typeof body !== 'object' || body === null || !('refresh_token' in body)) return undefined
  return typeof body.refresh_token === 'string' ? body.refresh_token : undefined
}
