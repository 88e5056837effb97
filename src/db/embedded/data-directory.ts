import { dlopen } from 'bun:ffi'
import { constants } from 'node:fs'
import { chmod, mkdir, open, rename, rm, stat } from 'node:fs/promises'
import { platform } from 'node:os'
import { join } from 'node:path'
import { loadTemplate } from './template.ts'

/** PGlite has no lock of its own, and two processes with one directory silently lose rows. */
export class DataDirectoryInUse extends Error {
  override readonly name = 'DataDirectoryInUse'

  constructor(directory: string) {
    super(`the data directory ${directory} is in use by another process`)
  }
}

/** The directory does not contain a valid database. */
export class DataDirectoryDamaged extends Error {
  override readonly name = 'DataDirectoryDamaged'

  constructor(directory: string) {
    super(
      `the embedded database in ${directory} does not open: its files are damaged; restore a copy of the ` +
        'directory, or move it away to start with an empty one',
    )
  }
}

/** A backup is only restored to a directory without a database. */
class DataDirectoryNotEmpty extends Error {
  override readonly name = 'DataDirectoryNotEmpty'

  constructor(directory: string) {
    super(`${directory} has a database already: move it away, or set DATA_DIR to another directory`)
  }
}

export type DataDirectory = { cluster: string; release(): Promise<void> }

/** LOCK_EX and LOCK_NB of flock(2). */
const lockExclusive = 2
const lockNonBlocking = 4

/** Locks a data directory, and creates a cluster in it if there is none. The lock ends with the process. */
export const lockDataDirectory = async (directory: string): Promise<DataDirectory> => {
  await mkdir(directory, { recursive: true, mode: 0o700 })
  const handle = await open(directory, constants.O_RDONLY)
  try {
    lock(handle.fd, directory)
    const cluster = join(directory, 'cluster')
    await createCluster(cluster)
    return { cluster, release: () => handle.close() }
  } catch (error) {
    await handle.close()
    throw error
  }
}

/**
 * Creates a cluster from a tarball in a directory that has none. `prepare` runs before the cluster is there, so that after a
 * crash the directory still has none.
 */
export const unpackCluster = async (
  directory: string,
  tarball: Uint8Array<ArrayBuffer>,
  prepare: () => Promise<void>,
): Promise<void> => {
  await mkdir(directory, { recursive: true, mode: 0o700 })
  const handle = await open(directory, constants.O_RDONLY)
  try {
    lock(handle.fd, directory)
    const cluster = join(directory, 'cluster')
    if (await stat(cluster).catch(() => undefined)) throw new DataDirectoryNotEmpty(directory)
    await unpack(tarball, cluster, prepare)
  } finally {
    await handle.close()
  }
}

const lock = (fd: number, directory: string) => {
  const library = dlopen(platform() === 'darwin' ? 'libSystem.B.dylib' : 'libc.so.6', {
    flock: { args: ['i32', 'i32'], returns: 'i32' },
  })
  const taken = library.symbols.flock(fd, lockExclusive | lockNonBlocking)
  library.close()
  if (taken !== 0) throw new DataDirectoryInUse(directory)
}

/** Unpacks beside the final path and renames, so that a crash leaves no partial cluster there. */
const createCluster = async (cluster: string) => {
  if (await stat(cluster).catch(() => undefined)) return
  await unpack(await (await loadTemplate()).bytes(), cluster)
}

const unpack = async (
  tarball: Uint8Array<ArrayBuffer>,
  cluster: string,
  prepare = async () => {},
) => {
  const draft = `${cluster}.unpacking`
  await rm(draft, { recursive: true, force: true })
  await mkdir(draft, { mode: 0o700 })
  await new Bun.Archive(tarball).extract(draft)
  await chmod(draft, 0o700)
  await prepare()
  await rename(draft, cluster)
}
