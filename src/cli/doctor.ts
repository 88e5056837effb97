import { constants } from 'node:fs'
import { access, stat } from 'node:fs/promises'
import { dirname, join, resolve } from 'node:path'
import { type Config, readConfig } from '../config/config.ts'
import { ConfigError } from '../config/environment.ts'
import { readStoredSecret, SecretDamaged } from '../config/jwt-secret.ts'
import { addressOf } from '../db/address.ts'
import { type Database, openDatabase } from '../db/client.ts'
import { readServerInfo } from '../db/server-info.ts'
import { parseArguments } from './arguments.ts'
import type { Command } from './command-context.ts'
import { type Diagnostic, explainDatabaseError } from './diagnostics.ts'
import { exitCodes } from './exit-codes.ts'
import { diagnoseRateLimitStore } from './rate-limit-diagnostic.ts'

/** The oldest PostgreSQL that the tests run on. */
const testedNumber = 150_000

/** Instances whose clocks differ by more take each other's new tokens for tokens from the future. */
const skewMsMax = 5000
const skewMsNoted = 1000

/**
 * Looks at what the service needs, and says of each what to do, a line each. Changes nothing:
 * where there is no embedded database yet it makes none.
 */
export const doctor: Command = async (args, { env, print }) => {
  parseArguments(args)
  let found = 0
  const tell = ({ verdict, subject, says }: Diagnostic) => {
    if (verdict === 'wrong') found++
    print(`${verdict.padEnd(5)}  ${subject}: ${says}`)
  }

  let config: Config
  try {
    config = readConfig(env)
  } catch (error) {
    if (!(error instanceof ConfigError)) throw error
    for (const says of error.problems) tell({ verdict: 'wrong', subject: 'settings', says })
    return exitCodes.misconfigured
  }
  tell(
    env.NODE_ENV === 'production'
      ? { verdict: 'ok', subject: 'settings', says: 'all of them can be used' }
      : {
          verdict: 'note',
          subject: 'settings',
          says: 'good for development; set NODE_ENV=production where the service is for others',
        },
  )
  for await (const diagnostic of findingsOf(config)) tell(diagnostic)
  for await (const diagnostic of migrationUrlFindings(config)) tell(diagnostic)
  tell(await diagnoseRateLimitStore(config))
  return found > 0 ? exitCodes.failed : exitCodes.done
}

async function* findingsOf(config: Config): AsyncGenerator<Diagnostic> {
  const { database: settings } = config
  if (settings.kind === 'embedded' && !(await exists(settings.dataDir))) {
    yield await emptyFinding(settings.dataDir ?? '')
    return
  }
  let database: Database | undefined
  try {
    if (settings.kind === 'embedded') await checkSecret(settings.dataDir, config)
    database = await openDatabase(settings)
    yield* databaseFindings(database, config)
  } catch (error) {
    yield { verdict: 'wrong', subject: 'database', says: explainDatabaseError(error) }
  } finally {
    await database?.close()
  }
}

/** The secret that a start would take; where there is none yet it makes one. */
const checkSecret = async (dataDir: string | undefined, { jwt }: Config) => {
  if (dataDir === undefined || jwt.secrets.length > 0) return
  await readStoredSecret(dataDir).catch((error) => {
    if (error instanceof SecretDamaged) throw error
  })
}

const exists = async (dataDir: string | undefined) =>
  dataDir === undefined ||
  (await stat(join(dataDir, 'cluster')).then(
    () => true,
    () => false,
  ))

/** Whether the first start will be able to make what is not there yet: in the directory, or in the nearest above it. */
const emptyFinding = async (dataDir: string): Promise<Diagnostic> => {
  const subject = 'database'
  let place = resolve(dataDir)
  let found = await stat(place).catch(() => undefined)
  while (found === undefined && place !== dirname(place)) {
    place = dirname(place)
    found = await stat(place).catch(() => undefined)
  }
  const mayWrite = await access(place, constants.W_OK).then(
    () => true,
    () => false,
  )
  return found?.isDirectory() && mayWrite
    ? {
        verdict: 'note',
        subject,
        says: 'there is no embedded database yet; the first start makes it',
      }
    : {
        verdict: 'wrong',
        subject,
        says: `${place} is no directory that this user may write to: set DATA_DIR to one`,
      }
}

/** The way past the pooler, where there is one of its own: without it the next start does not get ready. */
async function* migrationUrlFindings({ database: settings }: Config): AsyncGenerator<Diagnostic> {
  if (settings.kind !== 'postgres' || settings.migrationUrl === settings.url) return
  const subject = 'migrations'
  const database = await openDatabase({ ...settings, url: settings.migrationUrl })
  try {
    await database.ping()
    yield { verdict: 'ok', subject, says: 'MIGRATION_DATABASE_URL answers' }
  } catch (error) {
    yield { verdict: 'wrong', subject, says: explainDatabaseError(error, 'MIGRATION_DATABASE_URL') }
  } finally {
    await database.close()
  }
}

async function* databaseFindings(database: Database, config: Config): AsyncGenerator<Diagnostic> {
  await database.ping()
  const askedAtMs = Date.now()
  const server = await readServerInfo(database.db)
  const answeredAtMs = Date.now()

  const answers = `PostgreSQL ${server.version} answers in ${answeredAtMs - askedAtMs} ms`
  yield server.number >= testedNumber
    ? { verdict: 'ok', subject: 'database', says: answers }
    : { verdict: 'note', subject: 'database', says: `${answers}; nothing under 15 is tested` }
  if (config.database.kind === 'postgres') yield tlsFinding(config.database.url, server.tls)
  yield await migrationsFinding(database, config)
  yield clockFinding(server.clockMs - (askedAtMs + answeredAtMs) / 2)
}

const tlsFinding = (url: string, inUse: boolean | null): Diagnostic => {
  const subject = 'tls'
  const { ssl, host, path } = addressOf(url).options
  if (path !== undefined || /^(localhost|127\.[\d.]+|::1)$/.test(host))
    return { verdict: 'ok', subject, says: 'none is needed on this machine' }
  if (typeof ssl === 'object' && ssl.rejectUnauthorized)
    return { verdict: 'ok', subject, says: "the server's certificate is verified" }
  const state = ssl === false || !inUse ? 'what is sent can be read' : 'anybody could be the server'
  return {
    verdict: 'note',
    subject,
    says: `${state} on the way; add sslmode=verify-full to DATABASE_URL, unless the network is private`,
  }
}

const migrationsFinding = async (database: Database, config: Config): Promise<Diagnostic> => {
  const subject = 'migrations'
  const { missing, unknown } = await database.migrationStatus()
  if (unknown > 0)
    return {
      verdict: config.migrateOnStart ? 'wrong' : 'note',
      subject,
      says: `the database is of another version, most likely a newer one (${unknown} migrations unknown): use that version, or MIGRATE_ON_START=false to go back`,
    }
  if (missing.length === 0) return { verdict: 'ok', subject, says: 'all are applied' }
  return {
    verdict: config.migrateOnStart ? 'note' : 'wrong',
    subject,
    says: `${missing.join(', ')} missing; run: taskwarden migrate${config.migrateOnStart ? ' (the next start does it, too)' : ''}`,
  }
}

const clockFinding = (skewMs: number): Diagnostic => {
  const says = `${Math.round(Math.abs(skewMs))} ms apart from the database's`
  if (Math.abs(skewMs) <= skewMsNoted) return { verdict: 'ok', subject: 'clock', says }
  return {
    verdict: Math.abs(skewMs) > skewMsMax ? 'wrong' : 'note',
    subject: 'clock',
    says: `${says}; let NTP set both`,
  }
}
