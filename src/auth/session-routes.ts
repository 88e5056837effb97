import { Elysia } from 'elysia'
import { refusals, refuse } from '../errors.ts'
import type { Log } from '../http/log.ts'
import { idOf, NoBody, NoContent } from '../shapes.ts'
import type { Caller } from './caller.ts'
import { alive, type SignedIn } from './guard.ts'
import { AccessToken, SessionId, Sessions } from './model.ts'
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

const ending = { 'x-budget': 'endings' } as const

/** Where one is signed in, and how that ends. */
export const sessionRoutes = (needs: Needs) => {
  const { sessionsOf, tokens, ttlSeconds, sessionMaxDays, signedIn, log } = needs

  return new Elysia({ prefix: '/auth', detail: { tags: ['Sessions'] } })
    .use(signedIn)
    .derive(({ caller }) => ({ sessions: sessionsOf(caller) }))

    .get('/sessions', async ({ sessions }) => ({ sessions: alive(await sessions.list()) }), {
      response: { 200: Sessions },
      detail: { operationId: 'listSessions', summary: 'Where I am signed in' },
    })

    .delete(
      '/sessions',
      async ({ sessions, caller, set }) => {
        alive((await sessions.endAll()) || undefined)
        log.info('all sessions ended', { user_id: caller.userId })
        set.status = 204
      },
      {
        body: NoBody,
        response: { 204: NoContent },
        detail: {
          operationId: 'endSessions',
          summary: 'Sign out everywhere, here too',
          ...ending,
        },
      },
    )

    .delete(
      '/sessions/:id',
      async ({ sessions, caller, params, set }) => {
        if (!alive(await sessions.end(idOf(params.id)))) refuse('session-not-found')
        log.info('session ended', { user_id: caller.userId })
        set.status = 204
      },
      {
        params: SessionId,
        body: NoBody,
        response: { 204: NoContent, ...refusals('session-not-found') },
        detail: { operationId: 'endSession', summary: 'End one of my sessions', ...ending },
      },
    )

    .post(
      '/logout',
      async ({ sessions, caller, set }) => {
        alive(await sessions.end(caller.sessionId))
        log.info('signed out', { user_id: caller.userId })
        set.status = 204
      },
      {
        body: NoBody,
        response: { 204: NoContent },
        detail: { operationId: 'logout', summary: 'Sign out here', ...ending },
      },
    )

    .post(
      '/refresh',
      async ({ sessions, caller }) => {
        const expires_at = alive(await sessions.refresh(ttlSeconds, sessionMaxDays))
        return tokenAnswer(tokens, caller.userId, { id: caller.sessionId, expires_at })
      },
      {
        body: NoBody,
        response: { 200: AccessToken },
        detail: {
          operationId: 'refresh',
          summary: 'A new token of the same session',
          description: 'The session ends SESSION_MAX_DAYS (30) after sign-in all the same.',
        },
      },
    )
}
