import { randomBytes } from 'node:crypto'
import { mkdir, open, readFile } from 'node:fs/promises'
import { join } from 'node:path'

/**
 * The secret of the embedded database's tokens: made on the first start, kept in its
 * data directory for nobody else to read, and used again.
 */
export const keptSecret = async (dataDir: string): Promise<string> => {
  const path = join(dataDir, 'jwt-secret')
  await mkdir(dataDir, { recursive: true, mode: 0o700 })
  try {
    const file = await open(path, 'wx', 0o600)
    await file.writeFile(freshSecret())
    await file.sync()
    await file.close()
  } catch (error) {
    if (!(error instanceof Error && 'code' in error && error.code === 'EEXIST')) throw error
  }
  return (await readFile(path, 'utf8')).trim()
}

/** 48 bytes: more than the 32 that HS256 asks for (RFC 7518 §3.2). */
export const freshSecret = (): string => randomBytes(48).toString('base64')
