import { randomBytes } from 'node:crypto'
import { mkdir, open, readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { isEmbedded } from './database.ts'
import type { EnvReader } from './environment.ts'
import { writePrivateFile } from './private-file.ts'

const fileName = 'jwt-secret'

/** The minimum for HS256 (RFC 7518 §3.2). */
const secretBytesMin = 32

/** The stored secret is incomplete, as a full disk may leave it. */
export class SecretDamaged extends Error {
  override readonly name = 'SecretDamaged'

  constructor(path: string) {
    super(
      `${path} contains an incomplete secret, perhaps because the disk was full: delete the file to generate a ` +
        'new one; all users then sign in again',
    )
  }
}

/**
 * The JWT secret of a service on the embedded database: generated at the first start and stored in the data
 * directory, readable by this user only.
 */
export const loadOrCreateSecret = async (dataDir: string): Promise<string> => {
  const path = join(dataDir, fileName)
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

/** Replaces the stored secret. */
export const storeSecret = (dataDir: string, secret: string): Promise<void> =>
  writePrivateFile(join(dataDir, fileName), secret)

/** The stored secret; `SecretDamaged` if it is incomplete. */
export const readStoredSecret = async (dataDir: string): Promise<string> => {
  const path = join(dataDir, fileName)
  const secret = (await readFile(path, 'utf8')).trim()
  if (Buffer.byteLength(secret) < secretBytesMin) throw new SecretDamaged(path)
  return secret
}

/** 48 random bytes in Base64. */
export const generateSecret = (): string => randomBytes(48).toString('base64')

/** The value in earlier versions of `.env.example`, which is public. */
const placeholderSecret = 'replace-me-with-the-output-of-openssl-rand-base64-48'
const howToGenerate = 'generate one with: openssl rand -base64 48'

/** JWT_SECRET; empty if the service generates its own secret. */
export const readJwtSecrets = (read: EnvReader, production: boolean): readonly string[] => {
  const list = read.text('JWT_SECRET')
  const databaseUrl = read.text('DATABASE_URL')
  if (list === undefined) {
    if (!isEmbedded(databaseUrl) || (production && databaseUrl === undefined))
      read.problem('JWT_SECRET', `is required with PostgreSQL; ${howToGenerate}`)
    return []
  }

  const secrets = list.split(',').map((secret) => secret.trim())
  if (secrets.includes(placeholderSecret))
    read.problem('JWT_SECRET', `is the placeholder of .env.example; ${howToGenerate}`)
  if (secrets.some((secret) => Buffer.byteLength(secret) < secretBytesMin))
    read.problem(
      'JWT_SECRET',
      `has a secret with fewer than ${secretBytesMin} bytes; ${howToGenerate}`,
    )
  return secrets
}
