import { constants } from 'node:fs'
import { access, stat } from 'node:fs/promises'
import { dirname, join, resolve } from 'node:path'
import type { Diagnostic } from './diagnostics.ts'

/** Whether there is an embedded database. */
export const exists = async (dataDir: string | undefined) =>
  dataDir === undefined || succeeds(stat(join(dataDir, 'cluster')))

const succeeds = (work: Promise<unknown>): Promise<boolean> =>
  work.then(
    () => true,
    () => false,
  )

/** Whether the first start can create the data directory: checks it, or its nearest existing parent. */
export const diagnoseDataDir = async (dataDir: string): Promise<Diagnostic> => {
  const subject = 'database'
  let directory = resolve(dataDir)
  let found = await stat(directory).catch(() => undefined)
  while (found === undefined && directory !== dirname(directory)) {
    directory = dirname(directory)
    found = await stat(directory).catch(() => undefined)
  }
  const mayWrite = await succeeds(access(directory, constants.W_OK))
  return found?.isDirectory() && mayWrite
    ? {
        level: 'note',
        subject,
        message: 'there is no embedded database yet; the first start creates it',
      }
    : {
        level: 'wrong',
        subject,
        message: `${directory} is not a directory that this user may write to: set DATA_DIR to one`,
      }
}
