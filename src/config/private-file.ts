import { open, rename, rm } from 'node:fs/promises'

/** Writes a file that only this user can read. It gets its name when it is complete, and is on the disk then. */
export const writePrivateFile = async (
  path: string,
  content: string | Uint8Array,
): Promise<void> => {
  const draft = `${path}.partial`
  await rm(draft, { force: true })
  const file = await open(draft, 'wx', 0o600)
  await file.writeFile(content)
  await file.sync()
  await file.close()
  await rename(draft, path)
}
