import { Elysia } from 'elysia'
import { challenge, refuse } from '../errors.ts'
import type { Visits } from '../http/visits.ts'

/**
 * Gives the routes of the plugin that uses it a `caller`.
 *
 * The door has refused strangers long before, ahead of the body; this is the only
 * way for a route to learn a user's id, and it knows of no other source than the
 * verified claims.
 */
export const signedIn = (visits: Visits) =>
  new Elysia({ name: 'signed-in' }).derive({ as: 'scoped' }, ({ request }) => {
    const { caller } = visits.of(request)
    return { caller: caller ?? refuse('unauthenticated', { headers: challenge(false) }) }
  })

export type SignedIn = ReturnType<typeof signedIn>

/** What a statement found, or 401: a statement finds nothing at all only where the session has ended. */
export const alive = <T>(found: T | undefined): T =>
  found === undefined ? refuse('unauthenticated', { headers: challenge(true) }) : found
