import { createApp } from './app.ts'
import { type Config, ConfigError, readConfig } from './config.ts'
import { memoryCounters } from './counters/memory.ts'
import { connect, type Database } from './db/client.ts'
import { DataDirectoryInUse } from './db/data-directory.ts'
import { DatabaseUnavailable } from './db/faults.ts'
import { MigrationRefused } from './db/migrate.ts'
import { listen } from './http/listen.ts'
import { type Log, logTo, pretty } from './http/log.ts'
import { watchLag } from './metrics/lag.ts'
import { freshSecret, keptSecret } from './secret.ts'
import { upkeep } from './tasks/upkeep.ts'

/** The edge of the process: settings, database, listener, signals. Everything else is handed in. */
const serve = async () => {
  const config = await withSecret(readConfig(process.env))
  const write = (line: string) =>
    process.stdout.write(`${process.stdout.isTTY ? pretty(line) : line}\n`)
  // Whoever read the log has gone: that is no reason to go too.
  process.stdout.on('error', () => {})
  const log = logTo(write, config.log.level)
  const database = await connect(config.database)

  let migrated = false
  const server = listen(config, (request) => app.fetch(request), log)
  const app = createApp({
    config,
    db: database.db,
    counters: memoryCounters(),
    log,
    peerOf: server.peerOf,
    vitals: { inFlight: server.inFlight, pool: database.pool, watchLag },
    isUp: () => migrated,
    isReady: async () => migrated && !server.isDraining() && (await answers(database)),
  })

  const { url, stop } = server.start()
  // Every address is nobody's name for it: what a person can open is.
  if (url.hostname === '[::]' || url.hostname === '0.0.0.0') url.hostname = 'localhost'
  log.info('listening', { url: url.href, docs: new URL('/docs', url).href })
  let haltedAtMs: number | undefined
  const halt = async () => {
    if (haltedAtMs !== undefined) {
      // Runners pass on a Ctrl-C that the terminal has sent here already: that is one signal, not two.
      if (performance.now() - haltedAtMs > 1000) process.exit(130)
      return
    }
    haltedAtMs = performance.now()
    await stop()
    await database.close()
    log.info('stopped')
    process.exit(0)
  }
  process.on('SIGTERM', () => void halt())
  process.on('SIGINT', () => void halt())

  await migrateWhenPossible(config, database, log)
  migrated = true
  log.info('ready')
  keepUp(config, database, log)
}

const withSecret = async (config: Config): Promise<Config> => {
  if (config.jwt.secrets.length > 0 || config.database.kind === 'postgres') return config
  const { dataDir } = config.database
  const secret = dataDir === undefined ? freshSecret() : await keptSecret(dataDir)
  return { ...config, jwt: { ...config.jwt, secrets: [secret] } }
}

const answers = async (database: Database): Promise<boolean> => {
  try {
    await database.ping()
    return true
  } catch {
    return false
  }
}

/** A database that is down, or that somebody else migrates, is waited for: the process is up, and not ready. */
const migrateWhenPossible = async ({ migrateOnStart }: Config, database: Database, log: Log) => {
  for (;;) {
    try {
      if (migrateOnStart) return await database.migrate()
      if (await database.isMigrated()) return
      log.warn('waiting for the migrations: MIGRATE_ON_START is false')
      await Bun.sleep(1000)
    } catch (error) {
      if (!(error instanceof DatabaseUnavailable)) throw error
      log.warn('waiting for the database', { error })
      await Bun.sleep(1000)
    }
  }
}

const upkeepMs = 3_600_000

/** Once an hour, at a moment of its own, so that twenty instances do not all come at once. */
const keepUp = ({ trashDays }: Config, { db }: Database, log: Log) => {
  const run = async () => {
    try {
      log.info('upkeep', await upkeep(db, trashDays))
    } catch (error) {
      log.warn('upkeep failed', { error })
    }
    setTimeout(run, upkeepMs).unref()
  }
  setTimeout(run, Math.random() * upkeepMs).unref()
}

/** What a person can act on, a line each; a bug keeps its stack. */
const explain = (error: unknown): string => {
  if (error instanceof ConfigError)
    return error.problems.map((line) => `taskwarden: ${line}`).join('\n')
  if (error instanceof DataDirectoryInUse || error instanceof MigrationRefused)
    return `taskwarden: ${error.message}`
  if (error instanceof Error && 'code' in error && error.code === 'EADDRINUSE')
    return 'taskwarden: the port is in use by another process; set PORT to a free one'
  return `taskwarden: ${error instanceof Error ? error.stack : String(error)}`
}

try {
  await serve()
} catch (error) {
  console.error(explain(error))
  process.exit(1)
}
