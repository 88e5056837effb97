import { createSecretKey } from 'node:crypto'
import { type Static, t } from 'elysia'
import { decodeJwt, type JWTVerifyGetKey, jwtVerify } from 'jose'
import type { Log } from '../../log.ts'
import { compileSchema } from '../../schema/compile.ts'
import { createKeySet, IssuerUnavailable } from './key-set.ts'

/** One of TRUSTED_ISSUERS. Its keys are at `jwks_uri`, or are the one `secret` that it shares with us. */
export type TrustedIssuer = {
  readonly issuer: string
  readonly audience: string
  readonly algorithms: readonly string[]
  readonly jwks_uri?: string | undefined
  readonly secret?: string | undefined
  /** How long a token of it may live, in seconds. */
  readonly ttl_seconds: number
}

const Claims = t.Object({
  iss: t.String(),
  /** Whoever the issuer says: any text, but none that a log or PostgreSQL could stumble over. */
  sub: t.String({ pattern: '^[^\\u0000-\\u001f\\u007f\\ud800-\\udfff]{1,255}$' }),
  iat: t.Number({ minimum: 0 }),
  exp: t.Number({ minimum: 0 }),
  scope: t.Optional(t.String()),
})
export type ForeignClaims = Static<typeof Claims>
const schema = compileSchema(Claims)

const skewSeconds = 5
const compactPattern = /^[\w-]{2,1000}\.[\w-]{2,6000}\.[\w-]{2,1400}$/

/**
 * Tokens of other identity providers, each verified by the keys and algorithms of the issuer
 * that it names, and of no other (RFC 8725 §3.1, §3.8).
 *
 * Nothing of a token is believed but `iss`, `sub`, the times and `scope`: an e-mail there is
 * the issuer's word, and takes nobody to an account that has the same.
 */
export const createIssuerVerifiers = (settings: readonly TrustedIssuer[], log: Log) => {
  const verifiers = new Map(settings.map((one) => [one.issuer, createVerifier(one, log)]))

  return {
    /** What verifies the token, if it says that it is of one of these. */
    verifierOf: (token: string) =>
      verifiers.size === 0 || !compactPattern.test(token)
        ? undefined
        : verifiers.get(saidBy(token)),
  }
}

export type IssuerVerifiers = ReturnType<typeof createIssuerVerifiers>

/** The claims, or nothing where the token is not whole, in time and of this issuer; throws `IssuerUnavailable`. */
const createVerifier = (
  { issuer, audience, algorithms, ttl_seconds, ...keys }: TrustedIssuer,
  log: Log,
) => {
  const key: JWTVerifyGetKey =
    keys.secret === undefined
      ? createKeySet(keys.jwks_uri ?? '', log)
      : always(createSecretKey(keys.secret, 'utf8'))
  const options = {
    issuer,
    audience,
    algorithms: [...algorithms],
    requiredClaims: ['sub', 'iat', 'exp'],
    clockTolerance: skewSeconds,
  }

  return async (token: string): Promise<ForeignClaims | undefined> => {
    try {
      const { payload, protectedHeader } = await jwtVerify(token, key, options)
      if (!isPlain(protectedHeader) || !schema.matches(payload)) return undefined
      return isTimely(payload, ttl_seconds) ? payload : undefined
    } catch (error) {
      // Whatever a library makes of a hostile token, it is not a good one.
      if (error instanceof IssuerUnavailable) throw error
      return undefined
    }
  }
}

const always =
  <Key>(key: Key) =>
  async () =>
    key

const saidBy = (token: string): string => {
  try {
    return String(decodeJwt(token).iss)
  } catch {
    return ''
  }
}

const types = ['jwt', 'at+jwt', 'application/at+jwt']

/** Whether the header is an access token's, and brings no keys, places of keys or extensions of its own. */
const isPlain = (header: Record<string, unknown>): boolean =>
  types.includes(header.typ === undefined ? 'jwt' : String(header.typ).toLowerCase()) &&
  !['jwk', 'jku', 'x5c', 'x5u', 'crit', 'b64'].some((name) => name in header)

const isTimely = ({ iat, exp }: ForeignClaims, ttlSeconds: number): boolean => {
  const now = Date.now() / 1000
  return exp > now && iat <= now + skewSeconds && exp - iat <= ttlSeconds
}
