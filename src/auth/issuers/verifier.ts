import { createSecretKey } from 'node:crypto'
import { type Static, t } from 'elysia'
import { decodeJwt, type JWTVerifyGetKey, jwtVerify } from 'jose'
import type { TrustedIssuer } from '../../config/trusted-issuers.ts'
import type { Log } from '../../log.ts'
import { compileSchema } from '../../schema/compile.ts'
import { createKeySet, IssuerUnavailable } from './key-set.ts'

const Claims = t.Object({
  iss: t.String(),
  /** Any text without control characters and surrogates, which logs or PostgreSQL cannot store. */
  sub: t.String({ pattern: '^[^\\u0000-\\u001f\\u007f\\ud800-\\udfff]{1,255}$' }),
  iat: t.Number({ minimum: 0 }),
  exp: t.Number({ minimum: 0 }),
  scope: t.Optional(t.String()),
})
export type IssuerClaims = Static<typeof Claims>
const schema = compileSchema(Claims)

const skewSeconds = 5
const compactPattern = /^[\w-]{2,1000}\.[\w-]{2,6000}\.[\w-]{2,1400}$/

/**
 * Verifies tokens of trusted issuers, with the keys and algorithms of the issuer that the token names and no other
 * (RFC 8725 §3.1, §3.8).
 *
 * Only `iss`, `sub`, the times and `scope` are used. An e-mail in a token never leads to an account with this e-mail.
 */
export const createIssuerVerifiers = (settings: readonly TrustedIssuer[], log: Log) => {
  const verifiers = new Map(settings.map((one) => [one.issuer, createVerifier(one, log)]))

  return {
    /** The verifier of the issuer that the token names; undefined if it is none of these. */
    verifierOf: (token: string) =>
      verifiers.size === 0 || !compactPattern.test(token)
        ? undefined
        : verifiers.get(issuerOf(token)),
  }
}

export type IssuerVerifiers = ReturnType<typeof createIssuerVerifiers>

/** Returns the claims, or undefined if the token is not valid; throws `IssuerUnavailable`. */
const createVerifier = (
  { issuer, audience, algorithms, ttl_seconds, ...keys }: TrustedIssuer,
  log: Log,
) => {
  const key: JWTVerifyGetKey =
    keys.secret === undefined
      ? createKeySet(keys.jwks_uri ?? '', log)
      : constantKey(createSecretKey(keys.secret, 'utf8'))
  const options = {
    issuer,
    audience,
    algorithms: [...algorithms],
    requiredClaims: ['sub', 'iat', 'exp'],
    clockTolerance: skewSeconds,
  }

  return async (token: string): Promise<IssuerClaims | undefined> => {
    try {
      const { payload, protectedHeader } = await jwtVerify(token, key, options)
      if (!isPlainHeader(protectedHeader) || !schema.matches(payload)) return undefined
      return hasValidTimes(payload, ttl_seconds) ? payload : undefined
    } catch (error) {
      // Every other error of the library means that the token is not valid.
      if (error instanceof IssuerUnavailable) throw error
      return undefined
    }
  }
}

const constantKey =
  <Key>(key: Key) =>
  async () =>
    key

const issuerOf = (token: string): string => {
  try {
    return String(decodeJwt(token).iss)
  } catch {
    return ''
  }
}

const types = ['jwt', 'at+jwt', 'application/at+jwt']

/** Whether the header is that of an access token, without keys, key URLs and extensions. */
const isPlainHeader = (header: Record<string, unknown>): boolean =>
  types.includes(header.typ === undefined ? 'jwt' : String(header.typ).toLowerCase()) &&
  !['jwk', 'jku', 'x5c', 'x5u', 'crit', 'b64'].some((name) => name in header)

const hasValidTimes = ({ iat, exp }: IssuerClaims, ttlSeconds: number): boolean => {
  const now = Date.now() / 1000
  return exp > now && iat <= now + skewSeconds && exp - iat <= ttlSeconds
}
