import type { RequestContext } from '../../http/request-context.ts'
import type { Log } from '../../log.ts'
import type { RefreshTokenRepository } from './repository.ts'
import type { RefreshClaims } from './token.ts'

type Needs = { refreshTokenRepository: RefreshTokenRepository; log: Log }

/** Returns the function that exchanges a verified refresh token for the refreshed session; undefined if it is refused. */
export const createRedeem =
  ({ refreshTokenRepository, log }: Needs) =>
  async (claims: RefreshClaims, context: RequestContext) => {
    const { userId, sessionId } = claims
    const redeemed = await refreshTokenRepository.redeem(claims)
    if (redeemed === undefined) return undefined
    if (!('isReused' in redeemed)) return { userId, id: sessionId, ...redeemed }
    if (!redeemed.hasEnded) return undefined
    // An alert for the operator: someone else may have a copy of the token.
    const fields = { request_id: context.id, user_id: userId, session_id: sessionId }
    log.warn('refresh token reused', fields)
    context.changedUserId = userId
    return undefined
  }

export type Redeem = ReturnType<typeof createRedeem>
