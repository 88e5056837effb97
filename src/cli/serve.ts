import { createApp } from '../app.ts'
import { type Config, loopback, readConfig } from '../config/config.ts'
import { generateSecret, loadOrCreateSecret } from '../config/jwt-secret.ts'
import { openDatabase } from '../db/client.ts'
import type { Database } from '../db/database.ts'
import { DatabaseUnavailable } from '../db/errors.ts'
import { createServer } from '../http/server.ts'
import { createLog, formatForTerminal, type Log } from '../log.ts'
import { watchEventLoopLag } from '../metrics/event-loop-lag.ts'
import type { Fleet } from '../metrics/fleet.ts'
import { loadMetrics } from '../metrics/load-metrics.ts'
import { openNotifications } from '../notifications/open.ts'
import { openRateLimitStore } from '../rate-limit/open-store.ts'
import type { RateLimitStore } from '../rate-limit/store.ts'
import { parseArguments } from './arguments.ts'
import { createBackground } from './background.ts'
import type { Command } from './command-context.ts'
import { databaseUrlSetting } from './database.ts'
import { explainDatabaseError } from './diagnostics.ts'
import { exitCodes } from './exit-codes.ts'
import { createReadinessCheck } from './readiness.ts'
import { stopOnSignal } from './stop-on-signal.ts'

/** Runs the service: in this process, or in several that this one supervises. */
export const serve: Command = async (args, context) => {
  parseArguments(args)
  const config = readConfig(context.env)
  const write = (line: string) => context.print(context.isTerminal ? formatForTerminal(line) : line)
  const log = createLog(write, config.log.level)
  for (const { variable, likely } of config.misspelled)
    log.warn('unknown setting', { variable, likely })
  const onListening = (url: URL) => {
    log.info('listening', { url: url.href, docs: new URL('/docs', url).href })
    if (config.host === loopback && !context.env.HOST)
      log.info('other machines cannot connect', {
        advice: 'set HOST=:: to listen on all addresses',
      })
  }
  const onReady = () => log.info('ready')
  if (config.workers > 1) {
    const { supervise } = await import('./workers/supervisor.ts')
    return supervise({ config, log, write, context, onListening, onReady })
  }
  await runService({ config, log, onListening, onReady, onSignal: stopOnSignal(context) })
  return exitCodes.done
}

export type ServiceNeeds = {
  config: Config
  log: Log
  /** The URL is one that a browser can open. */
  onListening: (url: URL) => void
  onReady: () => void
  /** Settles when `stop` has finished after a signal. */
  onSignal: (stop: () => Promise<void>) => Promise<void>
  /** The counters in memory that this process shares with others. */
  sharedCounters?: RateLimitStore
  /** The processes that this one shares its port with. */
  fleet?: Fleet
}

/** Opens the database, serves requests, and returns when a signal has stopped it. */
export const runService = async ({ log, fleet, ...needs }: ServiceNeeds): Promise<void> => {
  const config = await withSecret(needs.config)
  const database = await openDatabase(config.database)
  const isInMemory = config.rateLimitStore.kind === 'memory'
  const rateLimitStore =
    (isInMemory ? needs.sharedCounters : undefined) ?? openRateLimitStore(config.rateLimitStore)
  const createMetrics = await loadMetrics(config.metrics.token, fleet)

  const notifications = openNotifications({
    config: config.notifications,
    db: database.db,
    log,
  })
  const checkStores = createReadinessCheck({ database, rateLimitStore, log })

  const background = createBackground({ config, db: database.db, log })

  let migrated = false
  let stopBackups: (() => Promise<void>) | undefined
  const listener = { ...config, sharesPort: fleet !== undefined }
  const server = createServer(listener, (request) => app.fetch(request), log)
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
  if (url.hostname === '[::]' || url.hostname === '0.0.0.0') url.hostname = 'localhost'
  needs.onListening(url)
  const stopped = needs.onSignal(async () => {
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
    needs.onReady()
    await checkStores()
    background.start()
  }
  await Promise.race([becomeReady(), stopped])
  await stopped
}

/** Loaded for the embedded database only. */
const serveBackups = async ({ database: settings }: Config, database: Database, log: Log) =>
  settings.kind === 'embedded' && settings.dataDir !== undefined
    ? (await import('./backup.ts')).serveBackups(database, settings.dataDir, log)
    : undefined

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
