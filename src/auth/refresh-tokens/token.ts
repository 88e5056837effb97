import { createHmac, hkdfSync, timingSafeEqual } from 'node:crypto'

/** What a refresh token says: its session, and which token of the session it is, counted from 0. */
export type RefreshClaims = { userId: string; sessionId: string; generation: number }

/** For secret scanners. */
const prefix = 'twr_'
const idBytes = 16
const generationBytes = 5
const claimsBytes = 2 * idBytes + generationBytes
/** Claims and MAC have 69 bytes, a multiple of three: their Base64 has no unused bits, and one spelling. */
const pattern = /^twr_[\w-]{92}$/

/**
 * Refresh tokens, which are derived and never stored: session and generation, with an HMAC-SHA256 under a key from the
 * JWT secret (HKDF, RFC 5869). So the same token can be returned again to a client that lost it, and a copy of the
 * database contains nothing that refreshes a session.
 *
 * The first secret signs, all verify, as with JWTs. Expiry and generation are checked by the SQL statement.
 */
export const createRefreshTokens = (secrets: readonly string[]) => {
  const keys = secrets.map((secret) =>
    Buffer.from(hkdfSync('sha256', secret, '', 'taskwarden refresh token', 32)),
  )
  const [signingKey] = keys
  if (signingKey === undefined) throw new Error('no secret to sign refresh tokens with')
  const macOf = (key: Buffer, claims: Buffer) => createHmac('sha256', key).update(claims).digest()

  return {
    sign: ({ userId, sessionId, generation }: RefreshClaims): string => {
      const claims = Buffer.alloc(claimsBytes)
      claims.write(hexOf(userId) + hexOf(sessionId), 'hex')
      claims.writeUIntBE(generation, 2 * idBytes, generationBytes)
      return prefix + Buffer.concat([claims, macOf(signingKey, claims)]).toString('base64url')
    },

    /** The claims; undefined if this service has not signed the token. */
    verify: (token: string): RefreshClaims | undefined => {
      if (!pattern.test(token)) return undefined
      const bytes = Buffer.from(token.slice(prefix.length), 'base64url')
      const claims = bytes.subarray(0, claimsBytes)
      const mac = bytes.subarray(claimsBytes)
      if (!keys.some((key) => timingSafeEqual(macOf(key, claims), mac))) return undefined
      return {
        userId: uuidAt(claims, 0),
        sessionId: uuidAt(claims, idBytes),
        generation: claims.readUIntBE(2 * idBytes, generationBytes),
      }
    },
  }
}

export type RefreshTokens = ReturnType<typeof createRefreshTokens>

const hexOf = (uuid: string) => uuid.replaceAll('-', '')

const uuidAt = (bytes: Buffer, at: number): string =>
  bytes
    .toString('hex', at, at + idBytes)
    .replace(/^(.{8})(.{4})(.{4})(.{4})(.{12})$/, '$1-$2-$3-$4-$5')
