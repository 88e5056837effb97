import { t } from 'elysia'
import type { TrustedIssuer } from '../auth/issuers/verifier.ts'
import { compileSchema } from '../schema/compile.ts'
import { type EnvReader, parseWholeNumber } from './environment.ts'

/* Who is believed: proxies, origins, other identity providers. Nobody, unless named. */

const hopsMax = 10

/** TRUST_PROXY: who may say where a request came from. */
export const readTrustProxy = (read: EnvReader): 'none' | 'fly' | 'railway' | number => {
  const text = read.text('TRUST_PROXY') ?? 'none'
  if (text === 'none' || text === 'fly' || text === 'railway') return text
  const hops = parseWholeNumber(text)
  if (hops >= 1 && hops <= hopsMax) return hops
  read.problem('TRUST_PROXY', `is not none, fly, railway or a number of hops from 1 to ${hopsMax}`)
  return 'none'
}

/** CORS_ORIGINS. A wildcard is not taken: whoever wants one has not said whom he trusts. */
export const readCorsOrigins = (read: EnvReader): string[] => {
  const text = read.text('CORS_ORIGINS')
  const origins = text === undefined ? [] : text.split(',').map((origin) => origin.trim())
  if (!origins.every(isOrigin))
    read.problem(
      'CORS_ORIGINS',
      'is not a comma-separated list of origins as browsers send them: https://app.example.com, ' +
        'with neither path nor trailing slash; * is not taken',
    )
  return origins
}

const isOrigin = (text: string) =>
  /^https?:\/\/[^*]+$/.test(text) && URL.canParse(text) && new URL(text).origin === text

const Issuers = t.Array(
  t.Object(
    {
      issuer: t.String({ minLength: 1, maxLength: 1000 }),
      audience: t.String({ minLength: 1, maxLength: 1000 }),
      algorithms: t.Array(t.String(), { minItems: 1, maxItems: 10 }),
      jwks_uri: t.Optional(t.String()),
      secret: t.Optional(t.String()),
      ttl_seconds: t.Optional(t.Integer({ minimum: 60, maximum: 2_592_000 })),
    },
    { additionalProperties: false },
  ),
  { maxItems: 20 },
)
const schema = compileSchema(Issuers)

const shared = ['HS256', 'HS384', 'HS512']
const published = [
  ...['EdDSA', 'Ed25519', 'ES256', 'ES384', 'ES512'],
  ...['RS256', 'RS384', 'RS512', 'PS256', 'PS384', 'PS512'],
]
const secretBytesMin = 32
const form =
  '[{"issuer": …, "audience": …, "algorithms": ["EdDSA"], "jwks_uri": "https://…"}], or "secret" ' +
  'in the place of "jwks_uri"; "ttl_seconds" is optional'

/**
 * TRUSTED_ISSUERS. An issuer has public keys or a secret, never both, and algorithms of that one
 * kind: a public key must never be taken for a secret (RFC 8725 §2.1).
 */
export const readTrustedIssuers = (read: EnvReader): TrustedIssuer[] => {
  const problem = (what: string) => void read.problem('TRUSTED_ISSUERS', what)
  const text = read.text('TRUSTED_ISSUERS')
  if (text === undefined) return []
  const issuers = parsed(text)
  if (!schema.matches(issuers)) {
    problem(`is not JSON of the form ${form}`)
    return []
  }

  const ours = read.text('JWT_ISSUER') ?? 'taskwarden'
  const ourSecrets = (read.text('JWT_SECRET') ?? '').split(',').map((secret) => secret.trim())
  const names = issuers.map(({ issuer }) => issuer)
  if (new Set([ours, ...names]).size !== names.length + 1)
    problem('names an issuer twice, or this service itself (JWT_ISSUER); each has one entry')

  for (const { algorithms, jwks_uri, secret } of issuers) {
    const known = secret === undefined ? published : shared
    if ((jwks_uri === undefined) === (secret === undefined))
      problem('has an issuer without keys, or with two kinds; set either jwks_uri or secret')
    else if (!algorithms.every((algorithm) => known.includes(algorithm)))
      problem(
        `has algorithms other than ${shared.join(', ')} (with secret) or ${published.join(', ')} (with jwks_uri)`,
      )
    if (jwks_uri !== undefined && !isSafe(jwks_uri))
      problem('has a jwks_uri that is not https:// (http:// is taken on the loopback only)')
    if (secret !== undefined && Buffer.byteLength(secret) < secretBytesMin)
      problem(`has a secret of under ${secretBytesMin} bytes; agree on a longer one`)
    if (secret !== undefined && ourSecrets.includes(secret))
      problem('shares a secret with JWT_SECRET; whoever has it could sign for this service')
  }
  const ttlSeconds = Number(read.text('JWT_TTL_SECONDS') ?? 86_400)
  return issuers.map((issuer) => ({ ...issuer, ttl_seconds: issuer.ttl_seconds ?? ttlSeconds }))
}

const parsed = (text: string): unknown => {
  try {
    return JSON.parse(text)
  } catch {
    return undefined
  }
}

const isSafe = (uri: string): boolean => {
  if (!URL.canParse(uri)) return false
  const { protocol, hostname } = new URL(uri)
  return (
    protocol === 'https:' ||
    (protocol === 'http:' && ['localhost', '127.0.0.1', '[::1]'].includes(hostname))
  )
}
