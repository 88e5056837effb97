import { refuse } from '../errors.ts'
import type { Log } from '../http/log.ts'
import type { Identity } from './caller.ts'
import type { Identities } from './identity-repository.ts'
import type { Tokens } from './tokens.ts'
import type { ForeignClaims, TrustedIssuers } from './trusted-issuers.ts'
import { verdicts } from './verdicts.ts'

type Needs = {
  tokens: Tokens
  issuers: TrustedIssuers
  identities: Identities
  log: Log
  /** Whether the schema is there. */
  isUp: () => boolean
}

/** How long a token from elsewhere is not looked at again: its key, and its user, may go meanwhile. */
const restMs = 300_000

const scopes = ['tasks:read', 'tasks:write']

/**
 * Who a token is of: a user of ours, or somebody whom a trusted issuer has signed in, who is
 * made a user at first sight. Nothing where the token is not good.
 *
 * Such a token is for tasks, and for asking whose it is: the account, and how it is signed in
 * to, are the issuer's to manage.
 */
export const callersOf = ({ tokens, issuers, identities, log, isUp }: Needs) => {
  const known = verdicts<Identity>()

  const ofResident = async (token: string, { iss, sub, exp, scope }: ForeignClaims) => {
    if (!isUp()) refuse('unavailable', { headers: { 'retry-after': '1' } })
    const expiresAt = new Date(Math.ceil(exp) * 1000).toISOString()
    const { userId, sessionId, isNew } = await identities.resident(iss, sub, expiresAt)
    if (isNew) log.info('signed up', { user_id: userId, issuer: iss })
    const identity = { userId, sessionId, scope: reachOf(scope) }
    return known.keep(token, identity, Math.min(exp * 1000, Date.now() + restMs))
  }

  return {
    identify: async (token: string): Promise<Identity | undefined> => {
      const verify = issuers.verifierOf(token)
      if (verify === undefined) return ofOurs(await tokens.verify(token))
      const seen = known.find(token)
      if (seen !== undefined) return seen
      const claims = await verify(token)
      return claims && ofResident(token, claims)
    },
  }
}

const ofOurs = (claims: Awaited<ReturnType<Tokens['verify']>>): Identity | undefined =>
  claims && { userId: claims.sub, sessionId: claims.sid, scope: claims.scope }

/** Both of ours, unless the issuer names one of them: then that one. */
const reachOf = (scope = ''): string => {
  const named = scopes.filter((ours) => scope.split(' ').includes(ours))
  return (named.length > 0 ? named : scopes).join(' ')
}
