import { type Config, readConfig } from '../config/config.ts'
import { ConfigError } from '../config/environment.ts'
import { readStoredSecret, SecretDamaged } from '../config/jwt-secret.ts'
import { openDatabase } from '../db/client.ts'
import type { Database } from '../db/database.ts'
import { parseConnectionUrl } from '../db/pool/connection-url.ts'
import { readServerInfo } from '../db/server-info.ts'
import { parseArguments } from './arguments.ts'
import type { Command } from './command-context.ts'
import { diagnoseDataDir, exists } from './data-dir-diagnostic.ts'
import { diagnoseContents } from './database-diagnostics.ts'
import { type Diagnostic, explainDatabaseError } from './diagnostics.ts'
import { exitCodes } from './exit-codes.ts'
import { diagnoseMail } from './mail-diagnostic.ts'
import { diagnoseRateLimitStore } from './rate-limit-diagnostic.ts'

/** The oldest PostgreSQL version that the tests run on. */
const versionMin = 150_000

/** With a larger difference, an instance refuses new tokens of another as issued in the future. */
const [skewMsMax, skewMsNote] = [5000, 1000]

/** Checks what the service needs, and prints one line with advice for each. It changes and creates nothing. */
export const doctor: Command = async (args, { env, print }) => {
  parseArguments(args)
  let wrongCount = 0
  const report = ({ level, subject, message }: Diagnostic) => {
    if (level === 'wrong') wrongCount++
    print(`${level.padEnd(5)}  ${subject}: ${message}`)
  }

  let config: Config
  try {
    config = readConfig(env)
  } catch (error) {
    if (!(error instanceof ConfigError)) throw error
    for (const message of error.problems) report({ level: 'wrong', subject: 'settings', message })
    return exitCodes.misconfigured
  }
  const isProduction = env.NODE_ENV === 'production'
  const validity = isProduction
    ? 'all are valid'
    : 'valid for development; set NODE_ENV=production where other people use the service'
  report({ level: isProduction ? 'ok' : 'note', subject: 'settings', message: validity })
  for (const { variable, likely } of config.misspelled)
    report({
      level: 'note',
      subject: 'settings',
      message: `${variable} is not a setting; perhaps ${likely} is meant`,
    })
  for await (const diagnostic of diagnoseDatabase(config)) report(diagnostic)
  for await (const diagnostic of diagnoseMigrationUrl(config)) report(diagnostic)
  report(await diagnoseMail(config))
  report(await diagnoseRateLimitStore(config))
  return wrongCount > 0 ? exitCodes.failed : exitCodes.done
}

async function* diagnoseDatabase(config: Config): AsyncGenerator<Diagnostic> {
  const { database: settings } = config
  if (settings.kind === 'embedded' && !(await exists(settings.dataDir))) {
    yield await diagnoseDataDir(settings.dataDir ?? '')
    return
  }
  let database: Database | undefined
  try {
    if (settings.kind === 'embedded') await checkSecret(settings.dataDir, config)
    database = await openDatabase(settings)
    yield* diagnoseOpenDatabase(database, config)
  } catch (error) {
    yield { level: 'wrong', subject: 'database', message: explainDatabaseError(error) }
  } finally {
    await database?.close()
  }
}

/** Checks the stored secret. Without one, the first start generates it. */
const checkSecret = async (dataDir: string | undefined, { jwt }: Config) => {
  if (dataDir === undefined || jwt.secrets.length > 0) return
  await readStoredSecret(dataDir).catch((error) => {
    if (error instanceof SecretDamaged) throw error
  })
}

/** Checks MIGRATION_DATABASE_URL, if it is set: the next start needs it. */
async function* diagnoseMigrationUrl({ database: settings }: Config): AsyncGenerator<Diagnostic> {
  if (settings.kind !== 'postgres' || settings.migrationUrl === settings.url) return
  const subject = 'migrations'
  const database = await openDatabase({ ...settings, url: settings.migrationUrl })
  try {
    await database.ping()
    yield { level: 'ok', subject, message: 'MIGRATION_DATABASE_URL responds' }
  } catch (error) {
    yield {
      level: 'wrong',
      subject,
      message: explainDatabaseError(error, 'MIGRATION_DATABASE_URL'),
    }
  } finally {
    await database.close()
  }
}

async function* diagnoseOpenDatabase(
  database: Database,
  config: Config,
): AsyncGenerator<Diagnostic> {
  await database.ping()
  const sentAtMs = Date.now()
  const server = await readServerInfo(database.db)
  const receivedAtMs = Date.now()

  const answers = `PostgreSQL ${server.version} responds in ${receivedAtMs - sentAtMs} ms`
  yield server.number >= versionMin
    ? { level: 'ok', subject: 'database', message: answers }
    : {
        level: 'note',
        subject: 'database',
        message: `${answers}; versions before 15 are not tested`,
      }
  if (config.database.kind === 'postgres') yield diagnoseTls(config.database.url, server.tls)
  const migrations = await diagnoseMigrations(database, config)
  yield migrations
  if (migrations.level === 'ok') yield* diagnoseContents(database, config.trashDays)
  yield diagnoseClock(server.clockMs - (sentAtMs + receivedAtMs) / 2)
}

const diagnoseTls = (url: string, inUse: boolean | null): Diagnostic => {
  const subject = 'tls'
  const { ssl, host, path } = parseConnectionUrl(url).options
  if (path !== undefined || /^(localhost|127\.[\d.]+|::1)$/.test(host))
    return { level: 'ok', subject, message: 'not needed on this machine' }
  if (typeof ssl === 'object' && ssl.rejectUnauthorized)
    return { level: 'ok', subject, message: 'the certificate of the server is verified' }
  const state =
    ssl === false || !inUse ? 'data can be read' : 'another server could pretend to be this one'
  return {
    level: 'note',
    subject,
    message: `${state} in the network; add sslmode=verify-full to DATABASE_URL unless the network is private`,
  }
}

const diagnoseMigrations = async (database: Database, config: Config): Promise<Diagnostic> => {
  const subject = 'migrations'
  const { missing, unknown } = await database.migrationStatus()
  if (unknown > 0)
    return {
      level: config.migrateOnStart ? 'wrong' : 'note',
      subject,
      message: `the database was migrated by another version, probably a newer one (${unknown} unknown migrations): use that version, or set MIGRATE_ON_START=false to go back`,
    }
  if (missing.length === 0) return { level: 'ok', subject, message: 'all are applied' }
  return {
    level: config.migrateOnStart ? 'note' : 'wrong',
    subject,
    message: `${missing.join(', ')} missing; run: taskwarden migrate${config.migrateOnStart ? ' (the next start does it too)' : ''}`,
  }
}

const diagnoseClock = (skewMs: number): Diagnostic => {
  const message = `${Math.round(Math.abs(skewMs))} ms from the clock of the database`
  if (Math.abs(skewMs) <= skewMsNote) return { level: 'ok', subject: 'clock', message }
  return {
    level: Math.abs(skewMs) > skewMsMax ? 'wrong' : 'note',
    subject: 'clock',
    message: `${message}; synchronise both with NTP`,
  }
}
