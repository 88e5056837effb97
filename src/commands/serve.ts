import { createApp } from '../app.ts'
import { type Config, readConfig } from '../config.ts'
import { openCounters } from '../counters/store.ts'
import { connect, type Database } from '../db/client.ts'
import { DatabaseUnavailable } from '../db/faults.ts'
import { listen } from '../http/listen.ts'
import { type Log, logTo, pretty } from '../http/log.ts'
import { instrumentsFor } from '../metrics/instruments.ts'
import { watchLag } from '../metrics/lag.ts'
import { freshSecret, keptSecret } from '../secret.ts'
import { upkeep } from '../tasks/upkeep.ts'
import { readArguments } from './arguments.ts'
import { addressSettingOf } from './database.ts'
import { exits } from './exits.ts'
import { reasonOf } from './findings.ts'
import { keepUp } from './keep-up.ts'
import { readinessOf } from './readiness.ts'
import type { Command, Terminal } from './terminal.ts'

/** The service: settings, database, listener, signals. Everything else is handed in. */
export const serve: Command = async (args, terminal) => {
  readArguments(args)
  const config = await withSecret(readConfig(terminal.env))
  const write = (line: string) => terminal.say(terminal.isWatched ? pretty(line) : line)
  const log = logTo(write, config.log.level)
  const database = await connect(config.database)
  const counters = openCounters(config.counters)
  const instruments = await instrumentsFor(config.metrics.token)

  const isServed = readinessOf({ database, counters, log })

  let migrated = false
  const server = listen(config, (request) => app.fetch(request), log)
  const app = createApp({
    config,
    db: database.db,
    counters,
    log,
    peerOf: server.peerOf,
    instruments,
    vitals: { inFlight: server.inFlight, pool: database.pool, watchLag },
    isUp: () => migrated,
    isReady: async () => migrated && !server.isDraining() && (await isServed()),
  })

  const { url, stop } = server.start()
  // Every address is nobody's name for it: what a person can open is.
  if (url.hostname === '[::]' || url.hostname === '0.0.0.0') url.hostname = 'localhost'
  log.info('listening', { url: url.href, docs: new URL('/docs', url).href })
  const halted = haltOnSignal(terminal, async () => {
    await stop()
    await Promise.all([database.close(), counters.close()])
    log.info('stopped')
  })

  const becomeReady = async () => {
    // /ready will ask over the pool: its first connection is made while the migrations use theirs.
    void database.ping().catch(() => {})
    await migrateWhenPossible(config, database, log)
    migrated = true
    log.info('ready')
    await isServed()
    keepUp(() => upkeep(database.db, config.trashDays), log)
  }
  await Promise.race([becomeReady(), halted])
  await halted
  return exits.done
}

/** Settles when a signal has made `halt` come to its end; a second one does not wait for that. */
const haltOnSignal = (terminal: Terminal, halt: () => Promise<void>): Promise<void> => {
  const { promise, resolve } = Promise.withResolvers<void>()
  let haltedAtMs: number | undefined
  terminal.onSignal(() => {
    if (haltedAtMs === undefined) {
      haltedAtMs = performance.now()
      resolve(halt())
      // Runners pass on a Ctrl-C that the terminal has sent here already: that is one signal, not two.
    } else if (performance.now() - haltedAtMs > 1000) terminal.quit(exits.interrupted)
  })
  return promise
}

const withSecret = async (config: Config): Promise<Config> => {
  if (config.jwt.secrets.length > 0 || config.database.kind === 'postgres') return config
  const { dataDir } = config.database
  const secret = dataDir === undefined ? freshSecret() : await keptSecret(dataDir)
  return { ...config, jwt: { ...config.jwt, secrets: [secret] } }
}

/** How often it is tried, and how often it is said that it still does not go. */
const retryMs = 1000
const reminderMs = 60_000

/** A database that is down, or that somebody else migrates, is waited for: the process is up, and not ready. */
const migrateWhenPossible = async (config: Config, database: Database, log: Log) => {
  const said = { reason: '', atMs: 0 }
  const wait = async (event: string, reason: string) => {
    const now = performance.now()
    if (said.reason !== reason || now - said.atMs >= reminderMs) {
      log.warn(event, { reason })
      Object.assign(said, { reason, atMs: now })
    }
    await Bun.sleep(retryMs)
  }

  for (;;) {
    try {
      if (config.migrateOnStart) {
        await database.migrate()
        return
      }
      const { missing } = await database.standing()
      if (missing.length === 0) return
      const what = `${missing.join(', ')} missing, and MIGRATE_ON_START is false`
      await wait('waiting for the migrations', `${what}; run: taskwarden migrate`)
    } catch (error) {
      if (!(error instanceof DatabaseUnavailable)) throw error
      await wait('waiting for the database', reasonOf(error, addressSettingOf(config)))
    }
  }
}
