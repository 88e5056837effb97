import { chmod, readFile, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { readStoredSecret, storeSecret } from '../config/jwt-secret.ts'
import { writePrivateFile } from '../config/private-file.ts'
import { now } from '../db/clock.ts'
import type { Database } from '../db/database.ts'
import {
  BackupDamaged,
  decodeBackup,
  encodeBackup,
  isKnownSchema,
} from '../db/embedded/backup-file.ts'
import { knownMigrations } from '../db/migrations.ts'
import type { Log } from '../log.ts'
import { parseArguments } from './arguments.ts'
import type { Command, CommandContext } from './command-context.ts'
import { readCommandConfig, withDatabase, withMigratedDatabase } from './database.ts'
import { CommandFailed, exitCodes, UsageError } from './exit-codes.ts'

const socketName = 'backup.sock'
/** Of a path of a socket, on Linux and macOS. */
const pathBytesMax = 103

/**
 * A large database takes longer than the ten seconds after which Bun closes a silent connection. Its types do not permit the option
 * for a socket, where it works, and `server.timeout` does not (both tried with 13 s).
 */
const neverIdle: object = { idleTimeout: 0 }

/** The data directory of the embedded database, for which these commands are. */
const dataDirOf = (context: Pick<CommandContext, 'env'>): string => {
  const { database } = readCommandConfig(context)
  if (database.kind !== 'embedded' || database.dataDir === undefined)
    throw new UsageError(
      'this is for the embedded database; for PostgreSQL use pg_dump and pg_restore',
    )
  return database.dataDir
}

/** The database at one moment. Statements wait meanwhile. */
const createBackup = async (database: Database, dataDir: string) => {
  const [cluster, status] = [await database.dump?.(), await database.migrationStatus()]
  if (cluster === undefined) throw new Error('only the embedded database has this backup')
  return encodeBackup({
    created_at: now(),
    migrations: status.applied,
    secret: await readStoredSecret(dataDir).catch((error) => {
      if (error.code === 'ENOENT') return null
      throw error
    }),
    cluster: await cluster.bytes(),
  })
}

/** Lets `taskwarden backup` ask the running service, which alone can read its database: by a socket in the data directory. */
export const serveBackups = async (database: Database, dataDir: string, log: Log) => {
  const unix = join(dataDir, socketName)
  if (Buffer.byteLength(unix) > pathBytesMax) {
    log.warn('no backup while running', { reason: 'the path of DATA_DIR is too long for a socket' })
    return
  }
  // Of a process that was killed: the lock of the directory shows that no other one runs.
  await rm(unix, { force: true })
  const server = Bun.serve({
    unix,
    ...neverIdle,
    fetch: async () => {
      try {
        const bytes = await createBackup(database, dataDir)
        log.info('backup made', { bytes: bytes.length })
        return new Response(bytes)
      } catch (error) {
        log.error('backup failed', { error: String(error) })
        return new Response(null, { status: 500 })
      }
    },
  })
  await chmod(unix, 0o600)
  return async () => {
    await server.stop(true)
    await rm(unix, { force: true })
  }
}

/** From the service if it runs; undefined if not. */
const fromService = async (dataDir: string): Promise<Uint8Array<ArrayBuffer> | undefined> => {
  const response = await fetch('http://localhost/', {
    unix: join(dataDir, socketName),
    // A large database takes a while.
    signal: AbortSignal.timeout(600_000),
  }).catch(() => undefined)
  if (response === undefined) return undefined
  if (!response.ok) throw new CommandFailed('the service could not make a backup: see its log')
  return new Uint8Array(await response.arrayBuffer())
}

/** Writes a backup of the embedded database, while the service runs or not. */
export const backup: Command = async (args, context) => {
  const { words } = parseArguments(args, ['FILE'])
  const [path = ''] = words
  const dataDir = dataDirOf(context)
  const bytes =
    (await fromService(dataDir)) ??
    (await withMigratedDatabase(context, (database) => createBackup(database, dataDir)))
  await usingFile(path, () => writePrivateFile(path, bytes))
  context.print(`${path}: ${(bytes.length / 1e6).toFixed(1)} MB; keep it as safe as the database`)
  return exitCodes.done
}

const usingFile = <Result>(path: string, work: () => Promise<Result>): Promise<Result> =>
  work().catch((error) => {
    throw error instanceof Error && 'syscall' in error && 'code' in error
      ? new CommandFailed(`${path} cannot be used (${error.syscall}: ${error.code})`)
      : error
  })

/** Creates the embedded database of a backup in an empty data directory. */
export const restore: Command = async (args, context) => {
  const { words } = parseArguments(args, ['FILE'])
  const [path = ''] = words
  const dataDir = dataDirOf(context)
  const read = await decodeBackup(
    new Uint8Array(await usingFile(path, () => readFile(path))),
  ).catch((error) => {
    throw error instanceof BackupDamaged ? new CommandFailed(error.message) : error
  })
  if (!isKnownSchema(read, knownMigrations))
    throw new CommandFailed(`the backup is of a newer version, ${read.version}: use that one`)
  const { unpackCluster } = await import('../db/embedded/data-directory.ts')
  await unpackCluster(dataDir, read.cluster, async () => {
    if (read.secret !== null) await storeSecret(dataDir, read.secret)
  })
  await withDatabase(readCommandConfig(context), (database) => database.ping())
  context.print(`restored the backup of ${read.created_at} to ${dataDir}`)
  return exitCodes.done
}
