import type { Principal } from './principal.ts'
import type { TraceContext } from './trace-context.ts'

/** What the service knows of a request before, and while, it answers it. */
export type RequestContext = {
  /** `X-Request-Id`. */
  id: string
  startedAtMs: number
  /** From the door to the answer's head; nothing before that. */
  durationMs: number | undefined
  /** The key of the client's address. */
  address: string
  /** The pattern of the route; nothing where there is none. */
  route: string | undefined
  /** Whether a stranger may call the route. */
  open: boolean
  budget: 'api' | 'endings' | 'none'
  /** Media types that the body may be of. */
  accepts: readonly string[]
  /** Whether the route looks at its query: its schema then says what is known there. */
  takesQuery: boolean
  /** Bytes. */
  bodyMax: number
  /** Whether an `Authorization` header came along. */
  tokenSent: boolean
  /** Of a token whose signature holds. Its session may have ended: the next statement tells. */
  principal: Principal | undefined
  /** The key that the answer was counted against. */
  rateLimitKey: string | undefined
  /** The code of the database's failure, where the answer is 503 for it. */
  databaseErrorCode: string | undefined
  /** The caller's trace, if he named one. */
  trace: TraceContext | undefined
}

/** One per service; a request's facts go with the request. */
export const createRequestContexts = () => {
  // A member of the request, and no WeakMap: the collector asks one of those for each request it holds.
  const key = Symbol('visit')
  type RequestWithContext = Request & { [key]?: RequestContext }
  return {
    begin: (request: Request, requestContext: RequestContext): RequestContext => {
      ;(request as RequestWithContext)[key] = requestContext
      return requestContext
    },
    of: (request: Request): RequestContext => {
      const requestContext = (request as RequestWithContext)[key]
      if (requestContext === undefined)
        throw new Error('a request that never came through the door')
      return requestContext
    },
  }
}

export type RequestContexts = ReturnType<typeof createRequestContexts>
