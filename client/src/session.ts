import { abortable } from './abort.ts'
import { toError } from './problem.ts'
import { copyOf, type Send } from './retry.ts'
import { type TokenResponse, type TokenStore, type Tokens, toTokens } from './tokens.ts'

type Needs = { baseUrl: string; send: Send; store: TokenStore }

/** A refresh ahead of time that failed is tried again after this pause at the earliest. */
const pauseMs = 60_000

/** Where a request gets its token from. */
export type Credentials = {
  /** The token to send with a request, if there is one. */
  accessToken: (signal: AbortSignal) => Promise<string | undefined>
  /** The token that takes the place of one that was refused; nothing if there is none. */
  renew: (refused: string, signal: AbortSignal) => Promise<string | undefined>
}

/**
 * The tokens of a sign-in. They are refreshed when half of their lifetime has passed, because the
 * service refreshes a session only while its access token is valid, unless there is a refresh
 * token. However many requests need it at once, there is one refresh.
 */
export const createSession = ({ baseUrl, send, store }: Needs) => {
  let running: { accessToken: string; done: Promise<void> } | undefined
  let notBefore = 0

  const requestRefresh = ({ accessToken, refreshToken }: Tokens): Request =>
    new Request(`${baseUrl}/api/auth/refresh`, {
      method: 'POST',
      ...(refreshToken === undefined
        ? { headers: { authorization: `Bearer ${accessToken}` } }
        : {
            headers: { 'content-type': 'application/json' },
            body: JSON.stringify({ refresh_token: refreshToken }),
          }),
    })

  const refreshNow = async (used: Tokens): Promise<void> => {
    // The service returns the same tokens again if the response was lost.
    const response = await send(requestRefresh(used), { isRepeatable: true })
    const body: unknown = await response.json().catch(() => undefined)
    const isRefused = response.status === 401 || response.status === 403
    if (!response.ok && !isRefused) throw toError(response, body)
    // A sign-in or sign-out in the meantime has precedence.
    if ((await store.get())?.accessToken !== used.accessToken) return
    await store.set(isRefused ? undefined : toTokens(body as TokenResponse, used))
  }

  const refresh = (used: Tokens): Promise<void> => {
    if (running?.accessToken === used.accessToken) return running.done
    const started = {
      accessToken: used.accessToken,
      done: refreshNow(used).finally(() => {
        if (running === started) running = undefined
      }),
    }
    running = started
    return started.done
  }

  /** The token in use stays good for a while, so a failure is no reason to fail a request. */
  const refreshAhead = async (tokens: Tokens, signal: AbortSignal) => {
    try {
      await abortable(refresh(tokens), signal)
    } catch (error) {
      if (signal.aborted || tokens.expiresAt <= Date.now()) throw error
      notBefore = Date.now() + pauseMs
    }
  }

  const credentials: Credentials = {
    accessToken: async (signal) => {
      const tokens = await store.get()
      if (tokens && Date.now() >= Math.max(halfTime(tokens), notBefore))
        await refreshAhead(tokens, signal)
      return (await store.get())?.accessToken
    },
    renew: async (refused, signal) => {
      const tokens = await store.get()
      if (tokens?.accessToken === refused) await abortable(refresh(tokens), signal)
      const current = (await store.get())?.accessToken
      return current === refused ? undefined : current
    },
  }

  return {
    credentials,
    start: (response: TokenResponse) => store.set(toTokens(response)),
    end: () => store.set(undefined),
    /** Refreshes now, for a client that has been idle. Nothing happens without a session. */
    refresh: async () => {
      const tokens = await store.get()
      if (tokens) await refresh(tokens)
    },
  }
}

const halfTime = ({ issuedAt, expiresAt }: Tokens): number => (issuedAt + expiresAt) / 2

/** A token that is given, such as a personal access token. It is never refreshed. */
export const createFixedCredentials = (accessToken: string): Credentials => ({
  accessToken: async () => accessToken,
  renew: async () => undefined,
})

/** Sends the token with each request. After a refused token, one refresh and one retry. */
export const authenticate =
  (send: Send, { accessToken, renew }: Credentials): Send =>
  async (request, options) => {
    if (request.headers.has('authorization')) return send(request, options)
    const token = await accessToken(request.signal)
    if (token === undefined) return send(request, options)

    const response = await send(withToken(request, token), options)
    if (!isTokenRefused(response)) return response
    const next = await renew(token, request.signal)
    if (next === undefined) return response
    await response.body?.cancel()
    return send(withToken(request, next), options)
  }

const withToken = (request: Request, token: string): Request => {
  const copy = copyOf(request)
  copy.headers.set('authorization', `Bearer ${token}`)
  return copy
}

/** Not every 401: a wrong password is one as well (RFC 6750). */
const isTokenRefused = ({ status, headers }: Response): boolean =>
  status === 401 && (headers.get('www-authenticate') ?? '').includes('error="invalid_token"')
