import { version } from '../../../package.json' with { type: 'json' }
import type { Migration } from '../migrations.ts'

/** The file is no backup, or it was changed or cut off. */
export class BackupDamaged extends Error {
  override readonly name = 'BackupDamaged'
}

/** A backup of the embedded database. */
export type Backup = {
  /** Of the program that wrote it. */
  version: string
  /** RFC 3339. */
  created_at: string
  /** The hashes of the applied migrations. */
  migrations: string[]
  /** The content of `jwt-secret`; null if the service has JWT_SECRET. */
  secret: string | null
  /** The files of PostgreSQL, as a tarball. */
  cluster: Uint8Array<ArrayBuffer>
}

const format = 'taskwarden backup 1'
/** `format`, and the SHA-256 of all that follows. */
const firstLine = (rest: Uint8Array) =>
  `${format} ${new Bun.CryptoHasher('sha256').update(rest).digest('hex')}\n`

/** A line with a checksum, a line of JSON, and the tarball, compressed with zstd. */
export const encodeBackup = async (
  backup: Omit<Backup, 'version'>,
): Promise<Uint8Array<ArrayBuffer>> => {
  const { cluster, ...head } = backup
  const rest = Buffer.concat([
    Buffer.from(`${JSON.stringify({ version, ...head })}\n`),
    await Bun.zstdCompress(cluster),
  ])
  return Buffer.concat([Buffer.from(firstLine(rest)), rest])
}

/** Throws `BackupDamaged` if the checksum is wrong. */
export const decodeBackup = async (bytes: Uint8Array<ArrayBuffer>): Promise<Backup> => {
  const file = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  if (!file.subarray(0, format.length).equals(Buffer.from(format)))
    throw new BackupDamaged('the file is not a backup of taskwarden')
  const rest = file.subarray(file.indexOf('\n') + 1)
  if (!file.subarray(0, file.length - rest.length).equals(Buffer.from(firstLine(rest))))
    throw new BackupDamaged('the backup is damaged: its checksum is wrong')
  const end = rest.indexOf('\n')
  const head = JSON.parse(rest.subarray(0, end).toString())
  return { ...head, cluster: await Bun.zstdDecompress(rest.subarray(end + 1)) }
}

/** Whether this version has all migrations of a backup. */
export const isKnownSchema = ({ migrations }: Backup, known: Migration[]): boolean => {
  const hashes = new Set(known.map(({ hash }) => hash))
  return migrations.every((hash) => hashes.has(hash))
}
