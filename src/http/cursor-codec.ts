import { createCipheriv, createDecipheriv, createHmac, hkdfSync, randomBytes } from 'node:crypto'

/** The end of a page: sort key and id of its last row. */
export type CursorPosition = readonly string[]

const nonceBytes = 12
const tagBytes = 16

/**
 * Encodes cursors, changes tokens and stream tickets with AES-256-GCM, under a key derived from the JWT secret (HKDF,
 * RFC 5869).
 *
 * They are encrypted because a position may contain a title. User and query are authenticated as associated data, so
 * that a cursor is invalid for another user, sort or filter (`binding` in the routes of listing, trash and changes). The
 * first secret encrypts, all decrypt, as with JWTs.
 *
 * `encodeStable` gives the same text for the same content, which an unchanged changes feed needs: its nonce is a keyed
 * hash of content and binding (a synthetic nonce, as in RFC 5297).
 *
 * A cursor has no expiry: it is valid as long as its secret. A changes token expires with the trash
 * (`tasks/changes/token.ts`).
 */
export const createCursorCodec = (secrets: readonly string[]) => {
  const keys = secrets.map((secret) => deriveKey(secret, 'taskwarden cursor'))
  const [secret] = secrets
  const [encryptionKey] = keys
  if (secret === undefined || encryptionKey === undefined)
    throw new Error('no secret to encrypt cursors with')
  const nonceKey = deriveKey(secret, 'taskwarden cursor nonce')

  const encrypt = (json: string, binding: string, nonce: Buffer): string => {
    const cipher = createCipheriv('aes-256-gcm', encryptionKey, nonce).setAAD(Buffer.from(binding))
    const text = Buffer.concat([cipher.update(json), cipher.final()])
    return Buffer.concat([nonce, text, cipher.getAuthTag()]).toString('base64url')
  }

  return {
    /** `binding`: the user and the query that the cursor is valid for. */
    encode: (content: unknown, binding: string): string =>
      encrypt(JSON.stringify(content), binding, randomBytes(nonceBytes)),

    encodeStable: (content: unknown, binding: string): string => {
      const json = JSON.stringify(content)
      const hash = createHmac('sha256', nonceKey)
        .update(JSON.stringify([binding, json]))
        .digest()
      return encrypt(json, binding, hash.subarray(0, nonceBytes))
    },

    /** The content; undefined if the text was not encoded by this service for this binding. */
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

const deriveKey = (secret: string, purpose: string) =>
  Buffer.from(hkdfSync('sha256', secret, '', purpose, 32))

const decrypt = (key: Buffer, bytes: Buffer, binding: string): string | undefined => {
  try {
    // Without this option, GCM accepts a tag of 4 bytes.
    const options = { authTagLength: tagBytes }
    const cipher = createDecipheriv('aes-256-gcm', key, bytes.subarray(0, nonceBytes), options)
      .setAAD(Buffer.from(binding))
      .setAuthTag(bytes.subarray(-tagBytes))
    const text = cipher.update(bytes.subarray(nonceBytes, -tagBytes))
    return Buffer.concat([text, cipher.final()]).toString()
  } catch {
    return undefined
  }
}
