/** What a sign-in or a refresh returned. Times are milliseconds since 1970 by the clock of the client. */
export type Tokens = {
  accessToken: string
  issuedAt: number
  expiresAt: number
  /** Present if the service issues refresh tokens. The next refresh sends it. */
  refreshToken?: string
}

/**
 * Where the tokens are kept. `set(undefined)` forgets them. Processes or browser tabs that share a
 * store share a session: one of them refreshes, the others take over the result.
 */
export type TokenStore = {
  get: () => Tokens | undefined | Promise<Tokens | undefined>
  set: (tokens: Tokens | undefined) => void | Promise<void>
}

/** The response of a sign-in or of a refresh, as far as it is about tokens. */
export type TokenResponse = { access_token: string; expires_in: number; refresh_token?: string }

/** Keeps the tokens as long as the process or the page lives. */
export const createMemoryTokenStore = (): TokenStore => {
  let kept: Tokens | undefined
  return {
    get: () => kept,
    set: (tokens) => {
      kept = tokens
    },
  }
}

/** A refresh that returns no refresh token leaves the previous one in use. */
export const toTokens = (
  { access_token, expires_in, refresh_token }: TokenResponse,
  previous?: Tokens,
): Tokens => {
  const issuedAt = Date.now()
  const refreshToken = refresh_token ?? previous?.refreshToken
  return {
    accessToken: access_token,
    issuedAt,
    expiresAt: issuedAt + expires_in * 1000,
    ...(refreshToken !== undefined && { refreshToken }),
  }
}
