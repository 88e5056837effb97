import { type Config, readConfig } from '../config.ts'
import { connect, type Database } from '../db/client.ts'
import { freshSecret } from '../secret.ts'
import { CommandFailed } from './exits.ts'
import type { Terminal } from './terminal.ts'

/** The setting whose address a start migrates by. */
export const addressSettingOf = ({ database, migrateOnStart }: Config): string =>
  migrateOnStart && database.kind === 'postgres' && database.migrationUrl !== database.url
    ? 'MIGRATION_DATABASE_URL'
    : 'DATABASE_URL'

type Work<Result> = (database: Database, config: Config) => Promise<Result>

/**
 * The settings of a command that signs no tokens: it may be run without the secret, by somebody
 * who has no other business than the schema.
 */
export const settingsOf = ({ env }: Pick<Terminal, 'env'>): Config =>
  readConfig({ ...env, JWT_SECRET: env.JWT_SECRET || freshSecret() })

/** Opens the database for the time that the work takes. */
export const withDatabase = async <Result>(config: Config, work: Work<Result>): Promise<Result> => {
  const database = await connect(config.database)
  try {
    return await work(database, config)
  } finally {
    await database.close()
  }
}

/** The same for work that needs the tables to be there, as this version knows them. */
export const withTables = <Result>(terminal: Terminal, work: Work<Result>): Promise<Result> =>
  withDatabase(settingsOf(terminal), async (database, config) => {
    if ((await database.standing()).missing.length > 0)
      throw new CommandFailed('the schema is not up to date; run: taskwarden migrate')
    return work(database, config)
  })
