import { randomBytes } from 'node:crypto'
import { mkdir, open, readFile } from 'node:fs/promises'
import { join } from 'node:path'

const name = 'jwt-secret'

/** HS256 asks for as much (RFC 7518 §3.2). With none at all, as a full disk leaves it, anybody could sign. */
const bytesMin = 32

/** What is kept is not a whole secret. */
export class SecretDamaged extends Error {
  override readonly name = 'SecretDamaged'

  constructor(path: string) {
    super(
      `${path} has no whole secret in it (a disk that was full when it was made?): delete that file for a ` +
        'new one, with which everybody signs in again',
    )
  }
}

/**
 * The secret of the embedded database's tokens: made on the first start, kept in its
 * data directory for nobody else to read, and used again.
 */
export const loadOrCreateSecret = async (dataDir: string): Promise<string> => {
  const path = join(dataDir, name)
  await mkdir(dataDir, { recursive: true, mode: 0o700 })
  try {
    const file = await open(path, 'wx', 0o600)
    await file.writeFile(generateSecret())
    await file.sync()
    await file.close()
  } catch (error) {
    if (!(error instanceof Error && 'code' in error && error.code === 'EEXIST')) throw error
  }
  return readStoredSecret(dataDir)
}

/** The one that is kept there; `SecretDamaged` where it is not whole. */
export const readStoredSecret = async (dataDir: string): Promise<string> => {
  const path = join(dataDir, name)
  const secret = (await readFile(path, 'utf8')).trim()
  if (Buffer.byteLength(secret) < bytesMin) throw new SecretDamaged(path)
  return secret
}

/** 48 bytes, in Base64. */
export const generateSecret = (): string => randomBytes(48).toString('base64')
