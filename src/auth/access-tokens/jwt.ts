import { createHmac, createSecretKey, type KeyObject, timingSafeEqual } from 'node:crypto'
import { jwt as jwtPlugin } from '@elysiajs/jwt'
import { type Static, t } from 'elysia'
import { compileSchema } from '../../schema/compile.ts'
import { createTokenCache } from './token-cache.ts'

const uuid = '^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$'

const Claims = t.Object({
  iss: t.String(),
  aud: t.String(),
  /** The user id. */
  sub: t.String({ pattern: uuid }),
  /** The id of the row in `sessions`. */
  sid: t.String({ pattern: uuid }),
  jti: t.String({ pattern: uuid }),
  /** Seconds since 1970, like `exp`. */
  iat: t.Integer({ minimum: 0 }),
  exp: t.Integer({ minimum: 0 }),
  /** Personal access tokens only: space-separated scopes (RFC 8693 §4.2). */
  scope: t.Optional(t.String({ pattern: '^tasks:read( tasks:write| webhooks:write)?$' })),
})
export type Claims = Static<typeof Claims>

type Settings = {
  /** The first signs, all verify. */
  secrets: readonly string[]
  issuer: string
  audience: string
  ttlSeconds: number
}

/** RFC 9068. */
const typ = 'at+jwt'
/** Permitted clock difference between instances. */
const skewSeconds = 5

/**
 * Three parts of base64url. The last is the canonical form of 32 bytes: its last character has two unused bits,
 * which decoders ignore, so that a token could be changed without breaking its signature.
 */
const compactPattern = /^[\w-]{2,200}\.[\w-]{2,2000}\.[\w-]{42}[AEIMQUYcgkosw048]$/
const schema = compileSchema(Claims)

/**
 * Signs and verifies access tokens: JWT with HS256 only.
 *
 * The result of a signature check is cached. The session is checked by the SQL statement of each request.
 */
export const createJwt = ({ secrets, issuer, audience, ttlSeconds }: Settings) => {
  const keys = secrets.flatMap((secret, index) => {
    const name = `jwt${index}`
    const key = createSecretKey(secret, 'utf8')
    const plugin = jwtPlugin({ name, secret: key, alg: 'HS256', typ, iss: issuer, aud: audience })
    return Object.values(plugin.decorator).map((methods) => ({ ...methods, key }))
  })
  const [signer] = keys
  if (signer === undefined) throw new Error('no secret to sign tokens with')

  const verifiedTokens = createTokenCache<Claims>()
  const options = {
    algorithms: ['HS256'],
    issuer,
    audience,
    typ,
    requiredClaims: ['iss', 'aud', 'sub', 'sid', 'jti', 'iat', 'exp'],
    clockTolerance: skewSeconds,
  }

  const verifyToken = async (token: string): Promise<Claims | undefined> => {
    if (!compactPattern.test(token) || !isExpectedHeader(token)) return undefined
    const signedBy = keys.find(({ key }) => isSignedBy(key, token))
    const claims: unknown = await signedBy?.verify(token, options)
    return schema.matches(claims) && hasValidTimes(claims, ttlSeconds) ? claims : undefined
  }

  return {
    /** Signs a token that ends with its session at `expiresAt` (RFC 3339), in whole seconds. */
    sign: (
      userId: string,
      sessionId: string,
      expiresAt: string,
      scope?: string,
    ): Promise<string> => {
      const ids = { sub: userId, sid: sessionId, jti: Bun.randomUUIDv7() }
      const claims = scope === undefined ? ids : { ...ids, scope }
      const iat = Math.floor(Date.now() / 1000)
      return signer.sign({ ...claims, exp: iat + secondsUntil(expiresAt) })
    },

    /** The claims; undefined if the token is not valid. */
    verify: async (token: string): Promise<Claims | undefined> => {
      const known = verifiedTokens.find(token)
      if (known !== undefined) return known
      const claims = await verifyToken(token)
      return claims && verifiedTokens.keep(token, claims, claims.exp * 1000)
    },
  }
}

export type Jwt = ReturnType<typeof createJwt>

/**
 * Checks the signature before the library verifies the whole token. The library takes twenty times as long to refuse
 * a forged token, and unauthenticated clients can send many.
 */
const isSignedBy = (key: KeyObject, token: string): boolean => {
  const end = token.lastIndexOf('.')
  const signature = createHmac('sha256', key).update(token.slice(0, end)).digest()
  return timingSafeEqual(signature, Buffer.from(token.slice(end + 1), 'base64url'))
}

/** This service signs with exactly these two header members: any other header is refused. */
const isExpectedHeader = (token: string): boolean => {
  try {
    const [header = ''] = token.split('.')
    const members = JSON.parse(Buffer.from(header, 'base64url').toString())
    return Object.keys(members).length === 2 && members.alg === 'HS256' && members.typ === typ
  } catch {
    return false
  }
}

/** The maximum lifetime of a personal access token: one year. */
export const personalSecondsMax = 31_536_000

const hasValidTimes = ({ iat, exp, scope }: Claims, ttlSeconds: number): boolean => {
  const now = Date.now() / 1000
  const lifetimeMax = scope === undefined ? ttlSeconds : personalSecondsMax
  return exp > now && iat <= now + skewSeconds && exp - iat <= lifetimeMax
}

/** Rounded up, so that a new session has its whole lifetime although its statement took some time. */
export const secondsUntil = (timestamp: string): number =>
  Math.ceil((Date.parse(timestamp) - Date.now()) / 1000)

/** The token members of a response (RFC 6749 §5.1). */
export const accessTokenResponse = async (
  jwt: Jwt,
  userId: string,
  { id, expires_at }: { id: string; expires_at: string },
) => ({
  access_token: await jwt.sign(userId, id, expires_at),
  token_type: 'Bearer' as const,
  expires_in: secondsUntil(expires_at),
})
