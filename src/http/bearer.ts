/** The token of a `Bearer` credential; the scheme in any case (RFC 6750 §2.1). Two joined headers give undefined. */
export const parseBearer = (authorization: string | null): string | undefined =>
  /^Bearer +([^\s,]+)$/i.exec(authorization ?? '')?.[1]

/** The challenge of RFC 6750 §3: `error` only if a token was sent, and never the reason. */
export const bearerChallenge = (sent: boolean) => ({
  'www-authenticate': `Bearer realm="taskwarden"${sent ? ', error="invalid_token"' : ''}`,
})

/** The challenge for a valid token without the required scope (RFC 6750 §3.1). */
export const insufficientScopeChallenge = {
  'www-authenticate': 'Bearer realm="taskwarden", error="insufficient_scope"',
}
