import { Elysia } from 'elysia'
import { bearerChallenge } from './bearer.ts'
import { throwProblem } from './problem.ts'
import type { RequestContexts } from './request-context.ts'

/**
 * Gives the routes of the plugin that uses it a `principal`, the only source of a user id.
 *
 * The route guard has verified the token before. A route that uses this plugin and is public by mistake is 401.
 */
export const createAuthenticated = (contexts: RequestContexts) =>
  new Elysia({ name: 'authenticated' }).derive({ as: 'scoped' }, ({ request }) => {
    const { principal } = contexts.of(request)
    return {
      principal: principal ?? throwProblem('unauthenticated', { headers: bearerChallenge(false) }),
    }
  })

export type Authenticated = ReturnType<typeof createAuthenticated>

/** The result of a statement, or 401 if it is undefined: the statement found no live session. */
export const requireSession = <T>(found: T | undefined): T =>
  found === undefined ? throwProblem('unauthenticated', { headers: bearerChallenge(true) }) : found
