import type { PgDatabase, PgQueryResultHKT } from 'drizzle-orm/pg-core'
import type { MigrationStatus } from './migrations.ts'

/**
 * Drizzle on postgres.js or PGlite, for repositories. `transaction` throws on postgres.js: every statement may run on
 * another connection.
 */
export type Db = PgDatabase<PgQueryResultHKT> & { $client: StatementSender }

/**
 * Sends a named prepared statement and returns rows of driver values. `isQuickRead` states that it only reads and takes
 * about a millisecond, so that the pool may pipeline it.
 */
export type StatementSender = {
  arrays(text: string, values: unknown[], isQuickRead?: boolean): Promise<unknown[][]>
}

export type Database = {
  db: Db
  kind: 'postgres' | 'embedded'
  pool(): PoolState
  /** One round trip; `DatabaseUnavailable` if it fails. */
  ping(): Promise<void>
  /** Applies missing migrations and returns their names; `MigrationRefused` or `DatabaseUnavailable` otherwise. */
  migrate(): Promise<string[]>
  migrationStatus(): Promise<MigrationStatus>
  /** A tarball of the files of the embedded database, at one moment. */
  dump?(): Promise<Blob>
  /** Waits for running statements (until their deadline) and refuses waiting ones. */
  close(): Promise<void>
}

/** `used`: connections that run statements or are being closed. `waiting`: statements that wait for a connection. */
export type PoolState = { max: number; used: number; waiting: number }

/** Is called for every statement that is sent; for tests. */
export type StatementObserver = (statement: string, params: unknown[]) => void

/** The row that a statement always returns; without it there is a bug. */
export const only = <Row>([row]: Row[]): Row => {
  if (row === undefined) throw new Error('expected exactly one row, got none')
  return row
}
