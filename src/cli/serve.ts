import { createApp } from '../app.ts'
import { type Config, loopback, readConfig } from '../config/config.ts'
import { generateSecret, loadOrCreateSecret } from '../config/jwt-secret.ts'
import { openDatabase } from '../db/client.ts'
import type { Database } from '../db/database.ts'
import { DatabaseUnavailable } from '../db/errors.ts'
import { createServer } from '../http/server.ts'
import { createLog, formatForTerminal, type Log } from '../log.ts'
import { watchEventLoopLag } from '../metrics/event-loop-lag.ts'
import { loadMetrics } from '../metrics/load-metrics.ts'
import { openNotifications } from '../notifications/open.ts'
import { openRateLimitStore } from '../rate-limit/open-store.ts'
import { parseArguments } from './arguments.ts'
import { createBackground } from './background.ts'
import type { Command, CommandContext } from './command-context.ts'
import { databaseUrlSetting } from './database.ts'
import { explainDatabaseError } from './diagnostics.ts'
import { exitCodes } from './exit-codes.ts'
import { createReadinessCheck } from './readiness.ts'

/** Runs the service: settings, database, HTTP server and signals. */
export const serve: Command = async (args, context) => {
  parseArguments(args)
  const config = await withSecret(readConfig(context.env))
  const write = (line: string) => context.print(context.isTerminal ? formatForTerminal(line) : line)
  const log = createLog(write, config.log.level)
  for (const { variable, likely } of config.misspelled)
    log.warn('unknown setting', { variable, likely })
  const database = await openDatabase(config.database)
  const rateLimitStore = openRateLimitStore(config.rateLimitStore)
  const createMetrics = await loadMetrics(config.metrics.token)

  const notifications = openNotifications({
    config: config.notifications,
    db: database.db,
    log,
  })
  const checkStores = createReadinessCheck({ database, rateLimitStore, log })

  const background = createBackground({ config, db: database.db, log })

  let migrated = false
  let stopBackups: (() => Promise<void>) | undefined
  const server = createServer(config, (request) => app.fetch(request), log)
  const app = createApp({
    config,
    db: database.db,
    rateLimitStore,
    log,
    peerOf: server.peerOf,
    createMetrics,
    notifications,
    waiting: server,
    ...background.listeners,
    processState: { inFlight: server.inFlight, pool: database.pool, watchEventLoopLag },
    isUp: () => migrated,
    isReady: async () => migrated && !server.isDraining() && (await checkStores()),
  })

  const { url, stop } = server.start()
  // The log shows a URL that a browser can open.
  if (url.hostname === '[::]' || url.hostname === '0.0.0.0') url.hostname = 'localhost'
  log.info('listening', { url: url.href, docs: new URL('/docs', url).href })
  if (config.host === loopback && !context.env.HOST)
    log.info('other machines cannot connect', { advice: 'set HOST=:: to listen on all addresses' })
  const stopped = stopOnSignal(context, async () => {
    await stop()
    // The times of many sessions, or a database that is slow, do not delay the stop by more.
    await Promise.race([background.stop(), Bun.sleep(lastWorkMsMax)])
    await Promise.race([notifications.stop(), Bun.sleep(lastWorkMsMax)])
    await stopBackups?.()
    await Promise.all([database.close(), rateLimitStore.close()])
    log.info('stopped')
  })

  const becomeReady = async () => {
    // Opens the first connection of the pool while the migrations use their own.
    void database.ping().catch(() => {})
    await migrateWhenPossible(config, database, log)
    migrated = true
    stopBackups = await serveBackups(config, database, log)
    log.info('ready')
    await checkStores()
    background.start()
  }
  await Promise.race([becomeReady(), stopped])
  await stopped
  return exitCodes.done
}

/** Loaded for the embedded database only. */
const serveBackups = async ({ database: settings }: Config, database: Database, log: Log) =>
  settings.kind === 'embedded' && settings.dataDir !== undefined
    ? (await import('./backup.ts')).serveBackups(database, settings.dataDir, log)
    : undefined

/** Settles when `stopService` has finished after a signal. A second signal exits at once. */
const stopOnSignal = (context: CommandContext, stopService: () => Promise<void>): Promise<void> => {
  const { promise, resolve } = Promise.withResolvers<void>()
  let signalledAtMs: number | undefined
  context.onSignal(() => {
    if (signalledAtMs === undefined) {
      signalledAtMs = performance.now()
      resolve(stopService())
      // A Ctrl-C arrives twice if a runner forwards what the terminal has already sent.
    } else if (performance.now() - signalledAtMs > 1000) context.exit(exitCodes.interrupted)
  })
  return promise
}

const withSecret = async (config: Config): Promise<Config> => {
  if (config.jwt.secrets.length > 0 || config.database.kind === 'postgres') return config
  const { dataDir } = config.database
  const secret = dataDir === undefined ? generateSecret() : await loadOrCreateSecret(dataDir)
  return { ...config, jwt: { ...config.jwt, secrets: [secret] } }
}

/** How long a stop waits for work that may also be done later. */
const lastWorkMsMax = 5000

/** How often to retry, and how often to log the same reason again. */
const retryMs = 1000
const reminderMs = 60_000

/** Waits while the database is down or another process migrates it. Meanwhile the process runs and is not ready. */
const migrateWhenPossible = async (config: Config, database: Database, log: Log) => {
  const logged = { reason: '', atMs: 0 }
  const wait = async (event: string, reason: string) => {
    const now = performance.now()
    if (logged.reason !== reason || now - logged.atMs >= reminderMs) {
      log.warn(event, { reason })
      Object.assign(logged, { reason, atMs: now })
    }
    await Bun.sleep(retryMs)
  }

  for (;;) {
    try {
      if (config.migrateOnStart) {
        await database.migrate()
        return
      }
      const { missing } = await database.migrationStatus()
      if (missing.length === 0) return
      const what = `${missing.join(', ')} missing and MIGRATE_ON_START is false`
      await wait('waiting for the migrations', `${what}; run: taskwarden migrate`)
    } catch (error) {
      if (!(error instanceof DatabaseUnavailable)) throw error
      await wait(
        'waiting for the database',
        explainDatabaseError(error, databaseUrlSetting(config)),
      )
    }
  }
}
