import { Elysia } from 'elysia'
import { refuse } from '../errors.ts'
import type { Log } from '../http/log.ts'
import { idOf } from '../shapes.ts'
import { by, type Caller } from './caller.ts'
import { alive, type SignedIn } from './guard.ts'
import * as operations from './operations.ts'
import { grantedScope, type tokenRepository } from './token-repository.ts'
import type { Tokens } from './tokens.ts'

type Needs = {
  tokensOf: (caller: Caller) => ReturnType<typeof tokenRepository>
  tokens: Tokens
  signedIn: SignedIn
  log: Log
}

/** Personal access tokens: for scripts, which have no password to be asked for. */
export const tokenRoutes = ({ tokensOf, tokens, signedIn, log }: Needs) =>
  new Elysia({ prefix: '/auth/tokens', detail: { tags: ['Tokens'] } })
    .use(signedIn)

    .post(
      '',
      async ({ caller, body, set }) => {
        const made = alive(await tokensOf(caller).add(body))
        const { id, scope, expires_at } = made
        log.info('token made', by(caller))
        set.status = 201
        set.headers.location = `/api/auth/tokens/${id}`
        const access_token = await tokens.sign(caller.userId, id, expires_at, grantedScope(scope))
        return { ...made, access_token }
      },
      operations.createToken,
    )

    .get(
      '',
      async ({ caller }) => ({ tokens: alive(await tokensOf(caller).list()) }),
      operations.listTokens,
    )

    .delete(
      '/:id',
      async ({ caller, params, set }) => {
        if (!alive(await tokensOf(caller).end(idOf(params.id)))) refuse('token-not-found')
        log.info('token ended', by(caller))
        set.status = 204
      },
      operations.endToken,
    )
