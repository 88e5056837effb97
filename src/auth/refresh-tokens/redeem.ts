import type { Log } from '../../log.ts'
import type { RefreshTokenRepository } from './repository.ts'
import type { RefreshClaims } from './token.ts'

type Needs = { refreshTokenRepository: RefreshTokenRepository; log: Log }

/** Returns the function that exchanges a verified refresh token for the refreshed session; undefined if it is refused. */
export const createRedeem =
  ({ refreshTokenRepository, log }: Needs) =>
  async (claims: RefreshClaims, requestId: string) => {
    const { userId, sessionId } = claims
    const redeemed = await refreshTokenRepository.redeem(claims)
    if (redeemed === undefined) return undefined
    if (!('isReused' in redeemed)) return { userId, id: sessionId, ...redeemed }
    // An alert for the operator: someone else may have a copy of the token.
    if (redeemed.hasEnded)
      log.warn('refresh token reused', {
        request_id: requestId,
        user_id: userId,
        session_id: sessionId,
      })
    return undefined
  }

export type Redeem = ReturnType<typeof createRedeem>
