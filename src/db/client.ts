import type { PgDatabase, PgQueryResultHKT } from 'drizzle-orm/pg-core'
import type { EmbeddedSettings } from './embedded.ts'
import type { MigrationStatus } from './migrations.ts'
import { openPostgres, type PostgresSettings } from './postgres.ts'

/**
 * What a repository works with: Drizzle over postgres.js or PGlite. `transaction` is not for
 * use: on postgres.js it throws, since every statement may run on another connection.
 */
export type Db = PgDatabase<PgQueryResultHKT> & { $client: StatementSender }

/**
 * Sends a statement under a name of the driver's, and gives its rows as the driver reads them.
 * `isQuickRead`: it writes nothing and takes a millisecond or so, and others may run beside it on its connection.
 */
export type StatementSender = {
  arrays(text: string, values: unknown[], isQuickRead?: boolean): Promise<unknown[][]>
}

export type Database = {
  db: Db
  kind: 'postgres' | 'embedded'
  /** How busy it is. */
  pool(): PoolState
  /** One round trip; `DatabaseUnavailable` when it fails. */
  ping(): Promise<void>
  /** Brings the schema up to date and names what it applied; `MigrationRefused` if it must not, `DatabaseUnavailable` if it cannot. */
  migrate(): Promise<string[]>
  /** Which migrations the schema has, for where somebody else migrates. */
  migrationStatus(): Promise<MigrationStatus>
  /** Lets running statements end (until their deadline), refuses waiting ones. */
  close(): Promise<void>
}

/** `used`: connections that carry statements, or are being cut; `waiting`: statements that wait for one. */
export type PoolState = { max: number; used: number; waiting: number }

export type DatabaseSettings = PostgresSettings | EmbeddedSettings

/** Sees every statement sent; for tests. */
export type StatementObserver = (statement: string, params: unknown[]) => void

/**
 * Opens the database. With PostgreSQL nothing is connected yet, so that the process starts
 * while the database is down; nor is PGlite loaded, which would cost memory and a slower start.
 */
export const openDatabase = async (
  settings: DatabaseSettings,
  observe?: StatementObserver,
): Promise<Database> =>
  settings.kind === 'postgres'
    ? openPostgres(settings, observe)
    : (await import('./embedded.ts')).openEmbedded(settings, observe)

/** The row a statement is bound to give back; its absence is our bug, not the caller's. */
export const only = <Row>([row]: Row[]): Row => {
  if (row === undefined) throw new Error('expected exactly one row, got none')
  return row
}
