import { type Config, readConfig } from '../config/config.ts'
import { generateSecret } from '../config/jwt-secret.ts'
import { openDatabase } from '../db/client.ts'
import type { Database } from '../db/database.ts'
import type { CommandContext } from './command-context.ts'
import { CommandFailed } from './exit-codes.ts'

/** The setting that has the address used for migrations. */
export const databaseUrlSetting = ({ database, migrateOnStart }: Config): string =>
  migrateOnStart && database.kind === 'postgres' && database.migrationUrl !== database.url
    ? 'MIGRATION_DATABASE_URL'
    : 'DATABASE_URL'

type Work<Result> = (database: Database, config: Config) => Promise<Result>

/** The settings of a command that signs no tokens: it runs without `JWT_SECRET`, for example to migrate only. */
export const readCommandConfig = ({ env }: Pick<CommandContext, 'env'>): Config =>
  readConfig({ ...env, JWT_SECRET: env.JWT_SECRET || generateSecret() })

/** Opens the database while `work` runs. */
export const withDatabase = async <Result>(config: Config, work: Work<Result>): Promise<Result> => {
  const database = await openDatabase(config.database)
  try {
    return await work(database, config)
  } finally {
    await database.close()
  }
}

/** As `withDatabase`, but fails if migrations are missing or unknown. */
export const withMigratedDatabase = <Result>(
  context: CommandContext,
  work: Work<Result>,
): Promise<Result> =>
  withDatabase(readCommandConfig(context), async (database, config) => {
    if ((await database.migrationStatus()).missing.length > 0)
      throw new CommandFailed('the schema is not up to date; run: taskwarden migrate')
    return work(database, config)
  })
