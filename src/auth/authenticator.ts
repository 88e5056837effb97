import type { Log } from '../log.ts'
import type { VerifiedToken } from '../http/principal.ts'
import { throwProblem } from '../http/problem.ts'
import type { AccessTokens } from './access-tokens/jwt.ts'
import { createTokenCache } from './access-tokens/token-cache.ts'
import type { FederatedUserRepository } from './issuers/repository.ts'
import type { ForeignClaims, IssuerVerifiers } from './issuers/verifier.ts'

type Needs = {
  tokens: AccessTokens
  issuers: IssuerVerifiers
  federatedUsers: FederatedUserRepository
  log: Log
  /** Whether the schema is there. */
  isUp: () => boolean
}

/** How long a token from elsewhere is not looked at again: its key, and its user, may go meanwhile. */
const cacheMs = 300_000

const scopes = ['tasks:read', 'tasks:write']

/**
 * Who a token is of: a user of ours, or somebody whom a trusted issuer has signed in, who is
 * made a user at first sight. Nothing where the token is not good.
 *
 * Such a token is for tasks, and for asking whose it is: the account, and how it is signed in
 * to, are the issuer's to manage.
 */
export const createAuthenticator = ({ tokens, issuers, federatedUsers, log, isUp }: Needs) => {
  const tokenCache = createTokenCache<VerifiedToken>()

  const authenticateFederated = async (token: string, { iss, sub, exp, scope }: ForeignClaims) => {
    if (!isUp()) throwProblem('unavailable', { headers: { 'retry-after': '1' } })
    const expiresAt = new Date(Math.ceil(exp) * 1000).toISOString()
    const { userId, sessionId, isNew } = await federatedUsers.findOrCreate(iss, sub, expiresAt)
    if (isNew) log.info('signed up', { user_id: userId, issuer: iss })
    const verifiedToken = { userId, sessionId, scope: grantedScopes(scope) }
    return tokenCache.keep(token, verifiedToken, Math.min(exp * 1000, Date.now() + cacheMs))
  }

  return {
    authenticate: async (token: string): Promise<VerifiedToken | undefined> => {
      const verify = issuers.verifierOf(token)
      if (verify === undefined) return toVerifiedToken(await tokens.verify(token))
      const seen = tokenCache.find(token)
      if (seen !== undefined) return seen
      const claims = await verify(token)
      return claims && authenticateFederated(token, claims)
    },
  }
}

const toVerifiedToken = (
  claims: Awaited<ReturnType<AccessTokens['verify']>>,
): VerifiedToken | undefined =>
  claims && { userId: claims.sub, sessionId: claims.sid, scope: claims.scope }

/** Both of ours, unless the issuer names one of them: then that one. */
const grantedScopes = (scope = ''): string => {
  const named = scopes.filter((ours) => scope.split(' ').includes(ours))
  return (named.length > 0 ? named : scopes).join(' ')
}
