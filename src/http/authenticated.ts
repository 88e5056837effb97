import { Elysia } from 'elysia'
import { bearerChallenge } from './bearer.ts'
import type { RequestPrincipal } from './principal.ts'
import { throwProblem } from './problem.ts'
import type { RequestContexts } from './request-context.ts'

/**
 * Gives the routes of the plugin that uses it a `principal`, the only source of a user id.
 *
 * `record` receives the use of each session.
 *
 * The route guard has verified the token before. A route that uses this plugin and is public by mistake is 401.
 */
export const createAuthenticated = (
  contexts: RequestContexts,
  record: (principal: RequestPrincipal) => void,
) =>
  new Elysia({ name: 'authenticated' }).derive({ as: 'scoped' }, ({ request }) => {
    const context = contexts.of(request)
    const principal =
      context.principal ?? throwProblem('unauthenticated', { headers: bearerChallenge(false) })
    record(principal)
    return { principal }
  })

export type Authenticated = ReturnType<typeof createAuthenticated>

/** The result of a statement, or 401 if it is undefined: the statement found no live session. */
export const requireSession = <T>(found: T | undefined): T =>
  found === undefined ? throwProblem('unauthenticated', { headers: bearerChallenge(true) }) : found
