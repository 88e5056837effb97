import { ConnectionUrlError, parseConnectionUrl } from '../db/pool/connection-url.ts'
import type { EnvReader } from './environment.ts'

export type DatabaseConfig =
  | {
      kind: 'postgres'
      url: string
      migrationUrl: string
      poolMax: number
      timeoutMs: number
      prepare: 'auto' | boolean
    }
  /** Without `dataDir` the data is in memory and ends with the process. */
  | { kind: 'embedded'; dataDir: string | undefined; timeoutMs: number }

/** Every variable is read, whatever the kind of database, so that an invalid one is always reported. */
export const readDatabaseConfig = (read: EnvReader, production: boolean): DatabaseConfig => {
  const url = read.text('DATABASE_URL')
  const migrationUrl = read.text('MIGRATION_DATABASE_URL')
  const poolMax = read.integer('DB_POOL_MAX', 10, [1, 1000])
  // The server closes an idle connection after 30 s, waiting requests included, and counting may take 3 s.
  const timeoutMs = read.integer('DB_TIMEOUT_MS', 5000, [1, 25_000])
  const prepare = read.choice('DB_PREPARE', 'auto', ['auto', 'true', 'false'])

  if (migrationUrl !== undefined && !isPostgres(migrationUrl))
    read.problem('MIGRATION_DATABASE_URL', `is not ${postgresForm}; unset it for DATABASE_URL`)
  if (migrationUrl !== undefined) checkAddress(read, 'MIGRATION_DATABASE_URL', migrationUrl)
  if (url !== undefined) checkAddress(read, 'DATABASE_URL', url)
  if (url !== undefined && isPostgres(url))
    return {
      kind: 'postgres',
      url,
      migrationUrl: migrationUrl ?? url,
      poolMax,
      timeoutMs,
      prepare: prepare === 'auto' ? prepare : prepare === 'true',
    }

  if (migrationUrl !== undefined && isEmbedded(url))
    read.problem('MIGRATION_DATABASE_URL', 'is used only with a postgres:// DATABASE_URL; set both')
  if (url === undefined && production)
    read.problem(
      'DATABASE_URL',
      'is required in production; set it to postgres://…, or to pglite: for the embedded database, ' +
        'which may lose data in a power cut',
    )
  if (!isEmbedded(url))
    read.problem('DATABASE_URL', `is neither ${postgresForm}, nor pglite: or pglite:memory`)
  return {
    kind: 'embedded',
    dataDir: url === 'pglite:memory' ? undefined : readDataDir(read),
    timeoutMs,
  }
}

/** Whether this `DATABASE_URL` selects the embedded database. */
export const isEmbedded = (url: string | undefined) =>
  url === undefined || url === 'pglite:' || url === 'pglite:memory'

const postgresForm = 'postgres://user:password@host/name, with special characters percent-encoded'

const isPostgres = (url: string) => {
  if (!/^postgres(ql)?:\/\/\S+$/.test(url)) return false
  try {
    const { username, password, pathname } = new URL(url)
    // The driver decodes these when it connects; an invalid % would fail only then.
    decodeURIComponent(username + password + pathname)
    return true
  } catch {
    return false
  }
}

const checkAddress = (read: EnvReader, variable: string, url: string) => {
  try {
    if (isPostgres(url)) parseConnectionUrl(url)
  } catch (error) {
    if (!(error instanceof ConnectionUrlError)) throw error
    read.problem(variable, error.message)
  }
}

export const readDataDir = (read: EnvReader) => read.text('DATA_DIR') ?? './data'
