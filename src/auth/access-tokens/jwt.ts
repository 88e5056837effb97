import { createHmac, createSecretKey, type KeyObject, timingSafeEqual } from 'node:crypto'
import { jwt } from '@elysiajs/jwt'
import { type Static, t } from 'elysia'
import { compileSchema } from '../../schema/compile.ts'
import { createTokenCache } from './token-cache.ts'

const uuid = '^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$'

const Claims = t.Object({
  iss: t.String(),
  aud: t.String(),
  /** The user. */
  sub: t.String({ pattern: uuid }),
  /** The row in `sessions`. */
  sid: t.String({ pattern: uuid }),
  jti: t.String({ pattern: uuid }),
  /** Seconds since the epoch, as `exp`. */
  iat: t.Integer({ minimum: 0 }),
  exp: t.Integer({ minimum: 0 }),
  /** Of a personal access token only: what it may do, space-separated (RFC 8693 §4.2). */
  scope: t.Optional(t.String({ pattern: '^tasks:read( tasks:write)?$' })),
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
/** How far the clocks of two instances may be apart. */
const skewSeconds = 5

/**
 * Three parts of base64url, the last one the canonical text of 32 bytes: the
 * last character carries two unused bits, and decoders forgive them.
 */
const compactPattern = /^[\w-]{2,200}\.[\w-]{2,2000}\.[\w-]{42}[AEIMQUYcgkosw048]$/
const schema = compileSchema(Claims)

/**
 * Access tokens: JWT, HS256 and nothing else.
 *
 * A signature's verdict is kept; whether the session still lives is asked of the
 * database each time.
 */
export const createAccessTokens = ({ secrets, issuer, audience, ttlSeconds }: Settings) => {
  const keys = secrets.flatMap((secret, index) => {
    const name = `jwt${index}`
    const key = createSecretKey(secret, 'utf8')
    const plugin = jwt({ name, secret: key, alg: 'HS256', typ, iss: issuer, aud: audience })
    return Object.values(plugin.decorator).map((own) => ({ ...own, key }))
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
    return schema.matches(claims) && isTimely(claims, ttlSeconds) ? claims : undefined
  }

  return {
    /** A token for as long as its session, which ends at `expiresAt` (RFC 3339), in whole seconds. */
    sign: (
      userId: string,
      sessionId: string,
      expiresAt: string,
      scope?: string,
    ): Promise<string> => {
      const named = { sub: userId, sid: sessionId, jti: Bun.randomUUIDv7() }
      const claims = scope === undefined ? named : { ...named, scope }
      const iat = Math.floor(Date.now() / 1000)
      return signer.sign({ ...claims, exp: iat + secondsUntil(expiresAt) })
    },

    /** The claims, or nothing where the token is not one of ours, whole and in time. */
    verify: async (token: string): Promise<Claims | undefined> => {
      const known = verifiedTokens.find(token)
      if (known !== undefined) return known
      const claims = await verifyToken(token)
      return claims && verifiedTokens.keep(token, claims, claims.exp * 1000)
    },
  }
}

export type AccessTokens = ReturnType<typeof createAccessTokens>

/**
 * Whether the key made the signature. Asked ahead of the library, which verifies in full what passes: to
 * turn a forgery away it takes twenty times as long, and anybody may send forgeries.
 */
const isSignedBy = (key: KeyObject, token: string): boolean => {
  const end = token.lastIndexOf('.')
  const signature = createHmac('sha256', key).update(token.slice(0, end)).digest()
  return timingSafeEqual(signature, Buffer.from(token.slice(end + 1), 'base64url'))
}

/** We are the only ones who sign: a header with anything but our two members is a forgery, signed or not. */
const isExpectedHeader = (token: string): boolean => {
  try {
    const [header = ''] = token.split('.')
    const members = JSON.parse(Buffer.from(header, 'base64url').toString())
    return Object.keys(members).length === 2 && members.alg === 'HS256' && members.typ === typ
  } catch {
    return false
  }
}

/** The longest life of a personal access token: a year. */
export const personalSecondsMax = 31_536_000

const isTimely = ({ iat, exp, scope }: Claims, ttlSeconds: number): boolean => {
  const now = Date.now() / 1000
  const lifeMax = scope === undefined ? ttlSeconds : personalSecondsMax
  return exp > now && iat <= now + skewSeconds && exp - iat <= lifeMax
}

/** Begun ones count: a day is 86 400 seconds, however long the statement took that began it. */
const secondsUntil = (instant: string): number =>
  Math.ceil((Date.parse(instant) - Date.now()) / 1000)

/** What a client gets when a session starts or moves on (RFC 6749 §5.1). */
export const accessTokenResponse = async (
  tokens: AccessTokens,
  userId: string,
  { id, expires_at }: { id: string; expires_at: string },
) => ({
  access_token: await tokens.sign(userId, id, expires_at),
  token_type: 'Bearer' as const,
  expires_in: secondsUntil(expires_at),
})
