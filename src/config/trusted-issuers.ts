import { t } from 'elysia'
import { compileSchema } from '../schema/compile.ts'
import type { EnvReader } from './environment.ts'

/** An entry of TRUSTED_ISSUERS. Its keys are at `jwks_uri`, or it shares the HMAC key `secret`. */
export type TrustedIssuer = {
  readonly issuer: string
  readonly audience: string
  readonly algorithms: readonly string[]
  readonly jwks_uri?: string | undefined
  readonly secret?: string | undefined
  /** The maximum lifetime of its tokens, in seconds. */
  readonly ttl_seconds: number
}

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

const hmacAlgorithms = ['HS256', 'HS384', 'HS512']
const publicKeyAlgorithms = [
  ...['EdDSA', 'Ed25519', 'ES256', 'ES384', 'ES512'],
  ...['RS256', 'RS384', 'RS512', 'PS256', 'PS384', 'PS512'],
]
const secretBytesMin = 32
const form =
  '[{"issuer": …, "audience": …, "algorithms": ["EdDSA"], "jwks_uri": "https://…"}], or "secret" ' +
  'instead of "jwks_uri"; "ttl_seconds" is optional'

/**
 * TRUSTED_ISSUERS. An issuer has either public keys or a secret, and algorithms of that kind only: a public key
 * must never be used as an HMAC secret (RFC 8725 §2.1).
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

  const ownIssuer = read.text('JWT_ISSUER') ?? 'taskwarden'
  const ownSecrets = (read.text('JWT_SECRET') ?? '').split(',').map((secret) => secret.trim())
  const names = issuers.map(({ issuer }) => issuer)
  if (new Set([ownIssuer, ...names]).size !== names.length + 1)
    problem('has an issuer twice, or the issuer of this service (JWT_ISSUER)')

  for (const { algorithms, jwks_uri, secret } of issuers) {
    const known = secret === undefined ? publicKeyAlgorithms : hmacAlgorithms
    if ((jwks_uri === undefined) === (secret === undefined))
      problem('has an issuer with no key, or with two kinds of keys; set either jwks_uri or secret')
    else if (!algorithms.every((algorithm) => known.includes(algorithm)))
      problem(
        `has algorithms other than ${hmacAlgorithms.join(', ')} (with secret) or ${publicKeyAlgorithms.join(', ')} (with jwks_uri)`,
      )
    if (jwks_uri !== undefined && !isSafe(jwks_uri))
      problem('has a jwks_uri that is not https:// (http:// is accepted on loopback only)')
    if (secret !== undefined && Buffer.byteLength(secret) < secretBytesMin)
      problem(`has a secret with fewer than ${secretBytesMin} bytes; use a longer one`)
    if (secret !== undefined && ownSecrets.includes(secret))
      problem('has a secret that JWT_SECRET contains; its holder could sign tokens of this service')
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
