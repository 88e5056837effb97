import { createCipheriv, createDecipheriv, hkdfSync, randomBytes } from 'node:crypto'

/** Where a page ended: the sort key of its last row and, for ties, its id. */
export type CursorPosition = readonly [key: string, id: string]

const nonceBytes = 12
const tagBytes = 16

/**
 * Cursors and tokens that only this service can read, sealed by AES-256-GCM under a key
 * of their own (HKDF, RFC 5869).
 *
 * Encrypted, because a position may hold a title; authenticated together with the user
 * and the query, so that a cursor is of no use to anybody else, nor with another sort or
 * filter. The first secret seals, all open, as with tokens.
 */
export const createCursorCodec = (secrets: readonly string[]) => {
  const keys = secrets.map((secret) =>
    Buffer.from(hkdfSync('sha256', secret, '', 'taskwarden cursor', 32)),
  )
  const [encryptionKey] = keys
  if (encryptionKey === undefined) throw new Error('no secret to seal cursors with')

  return {
    /** `bound`: the user and the query that it is good for. */
    encode: (content: unknown, binding: string): string => {
      const nonce = randomBytes(nonceBytes)
      const cipher = createCipheriv('aes-256-gcm', encryptionKey, nonce).setAAD(
        Buffer.from(binding),
      )
      const text = Buffer.concat([cipher.update(JSON.stringify(content)), cipher.final()])
      return Buffer.concat([nonce, text, cipher.getAuthTag()]).toString('base64url')
    },

    /** What was sealed, or nothing where the seal is not ours, or not for this user and query. */
    decode: <Content>(encoded: string, binding: string): Content | undefined => {
      const bytes = Buffer.from(encoded, 'base64url')
      if (bytes.toString('base64url') !== encoded) return undefined
      for (const key of keys) {
        const text = decrypt(key, bytes, binding)
        if (text !== undefined) return JSON.parse(text)
      }
      return undefined
    },
  }
}

export type CursorCodec = ReturnType<typeof createCursorCodec>

const decrypt = (key: Buffer, bytes: Buffer, binding: string): string | undefined => {
  try {
    // GCM would take a tag of 4 bytes for one that holds.
    const whole = { authTagLength: tagBytes }
    const cipher = createDecipheriv('aes-256-gcm', key, bytes.subarray(0, nonceBytes), whole)
      .setAAD(Buffer.from(binding))
      .setAuthTag(bytes.subarray(-tagBytes))
    const text = cipher.update(bytes.subarray(nonceBytes, -tagBytes))
    return Buffer.concat([text, cipher.final()]).toString()
  } catch {
    return undefined
  }
}
