import { createHash, createHmac, hkdfSync } from 'node:crypto'

const idBytes = 16
/** 48 bytes: a multiple of three, so that the Base64 has no unused bits, and one spelling. */
const pattern = /^[\w-]{64}$/

/**
 * The tokens of mailed links: the id of the user, and a secret of 256 bits.
 *
 * The secret is derived from the id of the message (HMAC-SHA256, under a key from the JWT secret). So a message that is
 * sent again contains the same link, and the queue contains none. The database has the SHA-256 of the secret.
 */
export const createLinkTokens = (secrets: readonly string[]) => {
  const [secret] = secrets
  if (secret === undefined) throw new Error('no secret to derive link tokens from')
  const key = Buffer.from(hkdfSync('sha256', secret, '', 'taskwarden mail link', 32))
  const secretOf = (messageId: string) => createHmac('sha256', key).update(messageId).digest()

  return {
    /** What the database has for the link of a message. */
    hashFor: (messageId: string): string => hashOf(secretOf(messageId)),

    format: (userId: string, messageId: string): string => {
      const id = Buffer.from(userId.replaceAll('-', ''), 'hex')
      return Buffer.concat([id, secretOf(messageId)]).toString('base64url')
    },

    /** The user and the hash of the secret; undefined for a text that is no token. */
    parse: (token: string): { userId: string; hash: string } | undefined => {
      if (!pattern.test(token)) return undefined
      const bytes = Buffer.from(token, 'base64url')
      const id = bytes.toString('hex', 0, idBytes)
      return {
        userId: id.replace(/(.{8})(.{4})(.{4})(.{4})(.{12})/, '$1-$2-$3-$4-$5'),
        hash: hashOf(bytes.subarray(idBytes)),
      }
    },
  }
}

export type LinkTokens = ReturnType<typeof createLinkTokens>

const hashOf = (secret: Buffer) => createHash('sha256').update(secret).digest('base64url')
