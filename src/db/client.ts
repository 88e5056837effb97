import type { Database, StatementObserver } from './database.ts'
import type { EmbeddedSettings } from './embedded/pglite.ts'
import { openPostgres, type PostgresSettings } from './postgres.ts'

export type DatabaseSettings = PostgresSettings | EmbeddedSettings

/**
 * Opens the database. PostgreSQL is not connected yet, so that the process starts while the database is down. PGlite is
 * loaded only if it is used, because it costs memory and time.
 */
export const openDatabase = async (
  settings: DatabaseSettings,
  observe?: StatementObserver,
): Promise<Database> =>
  settings.kind === 'postgres'
    ? openPostgres(settings, observe)
    : (await import('./embedded/pglite.ts')).openEmbedded(settings, observe)
