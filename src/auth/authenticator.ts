import type { VerifiedToken } from '../http/principal.ts'
import { throwProblem } from '../http/problem.ts'
import type { Log } from '../log.ts'
import type { Claims, Jwt } from './access-tokens/jwt.ts'
import { createTokenCache } from './access-tokens/token-cache.ts'
import type { FederatedUserRepository } from './issuers/repository.ts'
import type { IssuerClaims, IssuerVerifiers } from './issuers/verifier.ts'

type Needs = {
  jwt: Jwt
  issuers: IssuerVerifiers
  federatedUsers: FederatedUserRepository
  log: Log
  /** The migrations are applied. */
  isUp: () => boolean
}

/** How long the result for a federated token is cached. Its key or its user may be removed meanwhile. */
const cacheMs = 300_000

const taskScopes = ['tasks:read', 'tasks:write']
const scopes = [...taskScopes, 'webhooks:write']

/**
 * Returns the function that verifies a bearer token; its result is undefined if the token is not valid.
 *
 * A token of a trusted issuer creates its user at first use. It has the scopes of a personal token: the issuer manages
 * account and sign-in.
 */
export const createAuthenticator = ({ jwt, issuers, federatedUsers, log, isUp }: Needs) => {
  const tokenCache = createTokenCache<VerifiedToken>()

  const authenticateFederated = async (token: string, { iss, sub, exp, scope }: IssuerClaims) => {
    if (!isUp()) throwProblem('unavailable', { headers: { 'retry-after': '1' } })
    const expiresAt = new Date(Math.ceil(exp) * 1000).toISOString()
    const { userId, sessionId, isNew } = await federatedUsers.findOrCreate(iss, sub, expiresAt)
    if (isNew) log.info('signed up', { user_id: userId, issuer: iss })
    const expiresAtMs = exp * 1000
    const verifiedToken = { userId, sessionId, scope: grantedScopes(scope), expiresAtMs }
    return tokenCache.keep(token, verifiedToken, Math.min(expiresAtMs, Date.now() + cacheMs))
  }

  return async (token: string): Promise<VerifiedToken | undefined> => {
    const verify = issuers.verifierOf(token)
    if (verify === undefined) return toVerifiedToken(await jwt.verify(token))
    const cached = tokenCache.find(token)
    if (cached !== undefined) return cached
    const claims = await verify(token)
    return claims && authenticateFederated(token, claims)
  }
}

const toVerifiedToken = (claims: Claims | undefined): VerifiedToken | undefined =>
  claims && {
    userId: claims.sub,
    sessionId: claims.sid,
    scope: claims.scope,
    expiresAtMs: claims.exp * 1000,
  }

/** The scopes that the issuer grants; those of tasks if it names none. */
const grantedScopes = (scope = ''): string => {
  const granted = scopes.filter((one) => scope.split(' ').includes(one))
  return (granted.length > 0 ? granted : taskScopes).join(' ')
}
