import { accessTokenResponse, type Jwt, secondsUntil } from '../access-tokens/jwt.ts'
import type { RefreshTokens } from './token.ts'

type Needs = { jwt: Jwt; refreshTokens: RefreshTokens }

/** A session that started or was refreshed. `generation` is the one of its next refresh token. */
type Session = {
  userId: string
  id: string
  expires_at: string
  refresh_expires_at: string
  generation: number
}

/** Returns the function that issues both tokens of a session (RFC 6749 §5.1). */
export const createTokenResponse =
  ({ jwt, refreshTokens }: Needs) =>
  async (session: Session) => {
    const { userId, id: sessionId, refresh_expires_at, generation } = session
    return {
      ...(await accessTokenResponse(jwt, userId, session)),
      refresh_token: refreshTokens.sign({ userId, sessionId, generation }),
      refresh_expires_in: secondsUntil(refresh_expires_at),
    }
  }

export type TokenResponse = ReturnType<typeof createTokenResponse>
