import { Elysia } from 'elysia'
import { bearerChallenge, throwProblem } from './problem.ts'
import type { RequestContexts } from './request-context.ts'

/**
 * Gives the routes of the plugin that uses it a `caller`.
 *
 * The door has refused strangers long before, ahead of the body; this is the only
 * way for a route to learn a user's id, and it knows of no other source than the
 * verified claims.
 */
export const authenticated = (contexts: RequestContexts) =>
  new Elysia({ name: 'signed-in' }).derive({ as: 'scoped' }, ({ request }) => {
    const { principal } = contexts.of(request)
    return {
      principal: principal ?? throwProblem('unauthenticated', { headers: bearerChallenge(false) }),
    }
  })

export type Authenticated = ReturnType<typeof authenticated>

/** What a statement found, or 401: a statement finds nothing at all only where the session has ended. */
export const requireSession = <T>(found: T | undefined): T =>
  found === undefined ? throwProblem('unauthenticated', { headers: bearerChallenge(true) }) : found
