import type { RequestPrincipal } from './principal.ts'
import type { TraceContext } from './trace-context.ts'

/** Which limit counts a request: `revocation` is for ending sessions (`http/rate-limit.ts`). */
export type RateLimitPolicy = 'api' | 'revocation' | 'none'

export type RefreshTokenPlace = 'body' | 'cookie'

/** What the service knows about one request. */
export type RequestContext = {
  /** `X-Request-Id`. */
  id: string
  startedAtMs: number
  /** From the route guard to the head of the response; undefined before that. */
  durationMs: number | undefined
  /** The rate-limit key of the client's address. */
  address: string
  /** The pattern of the route; undefined for an unknown path. */
  route: string | undefined
  /** The route needs no token. */
  isPublic: boolean
  rateLimitPolicy: RateLimitPolicy
  /** Where the request may have a refresh token. Its route verifies it, because the guard reads no bodies. */
  refreshTokenIn: readonly RefreshTokenPlace[]
  /** The request may have a stream ticket instead of an access token. */
  acceptsTicket: boolean
  /** The path has the secret of a calendar feed. */
  hasCalendarSecret: boolean
  /** Media types that the body may have. */
  accepts: readonly string[]
  /** The route has a schema for its query, which then reports unknown parameters. */
  hasQuerySchema: boolean
  bodyBytesMax: number
  /** The request has an `Authorization` header. */
  tokenSent: boolean
  /** Set when the signature is verified. The next SQL statement checks the session. */
  principal: RequestPrincipal | undefined
  /** The key that the response was counted under. */
  rateLimitKey: string | undefined
  /** A user whose tasks or sessions the request has changed, if it is not the principal. */
  changedUserId: string | undefined
  /** The code of the database error that made the response a 503. */
  databaseErrorCode: string | undefined
  /** From a `traceparent` header (W3C Trace Context). */
  trace: TraceContext | undefined
}

/** One per service. */
export const createRequestContexts = () => {
  // A property of the request: with a WeakMap, garbage collection visits each request once more.
  const key = Symbol('request-context')
  type RequestWithContext = Request & { [key]?: RequestContext }
  return {
    begin: (request: Request, context: RequestContext): RequestContext => {
      ;(request as RequestWithContext)[key] = context
      return context
    },
    of: (request: Request): RequestContext => {
      const context = (request as RequestWithContext)[key]
      if (context === undefined) throw new Error('the request did not pass the route guard')
      return context
    },
  }
}

export type RequestContexts = ReturnType<typeof createRequestContexts>
