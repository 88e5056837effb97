import { Elysia } from 'elysia'
import { refuse } from '../errors.ts'
import type { Log } from '../http/log.ts'
import { idOf } from '../shapes.ts'
import { by, type Caller } from './caller.ts'
import { alive, type SignedIn } from './guard.ts'
import * as operations from './operations.ts'
import type { sessionsOf } from './session-repository.ts'
import { type Tokens, tokenAnswer } from './tokens.ts'

type Needs = {
  sessionsOf: (caller: Caller) => ReturnType<typeof sessionsOf>
  tokens: Tokens
  /** A session's tokens live for so long, and it for so many days after sign-in at most. */
  ttlSeconds: number
  sessionMaxDays: number
  signedIn: SignedIn
  log: Log
}

/** Where one is signed in, and how that ends. */
export const sessionRoutes = (needs: Needs) => {
  const { sessionsOf, tokens, ttlSeconds, sessionMaxDays, signedIn, log } = needs

  return new Elysia({ prefix: '/auth', detail: { tags: ['Sessions'] } })
    .use(signedIn)
    .derive(({ caller }) => ({ sessions: sessionsOf(caller) }))

    .get(
      '/sessions',
      async ({ sessions }) => ({ sessions: alive(await sessions.list()) }),
      operations.listSessions,
    )

    .delete(
      '/sessions',
      async ({ sessions, caller, set }) => {
        alive((await sessions.endAll()) || undefined)
        log.info('all sessions ended', by(caller))
        set.status = 204
      },
      operations.endSessions,
    )

    .delete(
      '/sessions/:id',
      async ({ sessions, caller, params, set }) => {
        if (!alive(await sessions.end(idOf(params.id)))) refuse('session-not-found')
        log.info('session ended', by(caller))
        set.status = 204
      },
      operations.endSession,
    )

    .post(
      '/logout',
      async ({ sessions, caller, set }) => {
        alive(await sessions.end(caller.sessionId))
        log.info('signed out', by(caller))
        set.status = 204
      },
      operations.logout,
    )

    .post(
      '/refresh',
      async ({ sessions, caller }) => {
        const expires_at = alive(await sessions.refresh(ttlSeconds, sessionMaxDays))
        return tokenAnswer(tokens, caller.userId, { id: caller.sessionId, expires_at })
      },
      operations.refresh,
    )
}
