import { dlopen } from 'bun:ffi'
import { constants } from 'node:fs'
import { chmod, mkdir, open, rename, rm, stat } from 'node:fs/promises'
import { platform } from 'node:os'
import { join } from 'node:path'
import { template } from './template.ts'

/** PGlite has no lock of its own, and two processes on one directory silently lose rows. */
export class DataDirectoryInUse extends Error {
  override readonly name = 'DataDirectoryInUse'

  constructor(directory: string) {
    super(`the data directory ${directory} is in use by another process`)
  }
}

/** What is in it is no database any more, or never was one. */
export class DataDirectoryDamaged extends Error {
  override readonly name = 'DataDirectoryDamaged'

  constructor(directory: string) {
    super(
      `the embedded database in ${directory} does not open: its files are damaged; restore a copy of the ` +
        'directory, or move it away to start with an empty one',
    )
  }
}

export type DataDirectory = { cluster: string; release(): Promise<void> }

const exclusive = 2
const withoutWaiting = 4

/**
 * Takes a data directory for this process, and puts a fresh cluster into it if there is none.
 * The lock goes with the process, however it ends.
 */
export const takeDataDirectory = async (directory: string): Promise<DataDirectory> => {
  await mkdir(directory, { recursive: true, mode: 0o700 })
  const handle = await open(directory, constants.O_RDONLY)
  try {
    lock(handle.fd, directory)
    const cluster = join(directory, 'cluster')
    await unpackOnce(cluster)
    return { cluster, release: () => handle.close() }
  } catch (error) {
    await handle.close()
    throw error
  }
}

const lock = (fd: number, directory: string) => {
  const library = dlopen(platform() === 'darwin' ? 'libSystem.B.dylib' : 'libc.so.6', {
    flock: { args: ['i32', 'i32'], returns: 'i32' },
  })
  const taken = library.symbols.flock(fd, exclusive | withoutWaiting)
  library.close()
  if (taken !== 0) throw new DataDirectoryInUse(directory)
}

/** Unpacked beside its place and then renamed: a crash in between leaves no half cluster to be taken for one. */
const unpackOnce = async (cluster: string) => {
  if (await stat(cluster).catch(() => undefined)) return
  const draft = `${cluster}.unpacking`
  await rm(draft, { recursive: true, force: true })
  await mkdir(draft, { mode: 0o700 })
  await new Bun.Archive(await (await template()).bytes()).extract(draft)
  await chmod(draft, 0o700)
  await rename(draft, cluster)
}
