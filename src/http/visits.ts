import type { Caller } from '../auth/caller.ts'
import type { Trace } from './trace.ts'

/** What the service knows of a request before, and while, it answers it. */
export type Visit = {
  /** `X-Request-Id`. */
  id: string
  startedAtMs: number
  /** From the door to the answer's head; nothing before that. */
  tookMs: number | undefined
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
  caller: Caller | undefined
  /** The key that the answer was counted against. */
  countedAs: string | undefined
  /** The code of the database's failure, where the answer is 503 for it. */
  fault: string | undefined
  /** The caller's trace, if he named one. */
  trace: Trace | undefined
}

/** One per service; a request's facts go with the request. */
export const visitsOf = () => {
  // A member of the request, and no WeakMap: the collector asks one of those for each request it holds.
  const key = Symbol('visit')
  type Visited = Request & { [key]?: Visit }
  return {
    begin: (request: Request, visit: Visit): Visit => {
      ;(request as Visited)[key] = visit
      return visit
    },
    of: (request: Request): Visit => {
      const visit = (request as Visited)[key]
      if (visit === undefined) throw new Error('a request that never came through the door')
      return visit
    },
  }
}

export type Visits = ReturnType<typeof visitsOf>
