import { createApp } from '../app.ts'
import { readConfig } from '../config/config.ts'
import { generateSecret } from '../config/jwt-secret.ts'
import { openDatabase } from '../db/client.ts'
import { createLog } from '../log.ts'
import { loadMetrics } from '../metrics/load-metrics.ts'
import { createNotifications } from '../notifications/notifications.ts'
import { createMemoryStore } from '../rate-limit/memory.ts'
import { parseArguments } from './arguments.ts'
import type { Command } from './command-context.ts'
import { exitCodes } from './exit-codes.ts'

/** Never connected: the document depends on the routes only. */
const unusedUrl = 'postgres://localhost/unused'

/** Prints the document of `/docs/json`. It needs no settings, no secret and no database. */
export const openapi: Command = async (args, context) => {
  parseArguments(args)
  const config = readConfig({ DATABASE_URL: unusedUrl, JWT_SECRET: generateSecret() })
  const database = await openDatabase(config.database)
  const log = createLog(() => {}, 'silent')
  const app = createApp({
    config,
    db: database.db,
    rateLimitStore: createMemoryStore(),
    log,
    processState: { inFlight: () => 0, pool: database.pool, watchEventLoopLag: () => {} },
    recordUse: () => {},
    onJobs: () => {},
    notifications: createNotifications({ log }),
    waiting: { stopSignal: new AbortController().signal, extendIdleTimeout: () => {} },
    isUp: () => false,
    isReady: async () => false,
    peerOf: () => undefined,
    createMetrics: await loadMetrics(undefined),
  })
  const response = await app.fetch(new Request('http://localhost/docs/json'))
  context.print(await response.text())
  await database.close()
  return exitCodes.done
}
