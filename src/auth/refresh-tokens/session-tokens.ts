import type { Config } from '../../config/config.ts'
import type { Db } from '../../db/database.ts'
import type { Log } from '../../log.ts'
import type { NoticeStatements } from '../../mail/notices.ts'
import type { Jwt } from '../access-tokens/jwt.ts'
import { createRefreshCookie } from './cookie.ts'
import { createRedeem } from './redeem.ts'
import { createRefreshTokenRepository } from './repository.ts'
import { createRefreshTokens } from './token.ts'
import { createTokenResponse } from './token-response.ts'

type Needs = { config: Config; db: Db; jwt: Jwt; log: Log; notices: NoticeStatements }

/** What sign-in, refresh and sign-out share: they issue, redeem and deliver refresh tokens. */
export const createSessionTokens = ({ config, db, jwt, log, notices }: Needs) => {
  const { corsOrigins, trustProxy } = config
  const refreshTokens = createRefreshTokens(config.jwt.secrets)
  const refreshTokenRepository = createRefreshTokenRepository(db, config.jwt, notices)
  return {
    refreshTokens,
    refreshTokenRepository,
    refreshCookie: createRefreshCookie({ corsOrigins, behindProxy: trustProxy !== 'none' }),
    redeem: createRedeem({ refreshTokenRepository, log }),
    tokenResponse: createTokenResponse({ jwt, refreshTokens }),
  }
}
