import { createApp } from '../app.ts'
import { readConfig } from '../config/config.ts'
import { generateSecret } from '../config/jwt-secret.ts'
import { openDatabase } from '../db/client.ts'
import { createLog } from '../http/access-log.ts'
import { loadMetrics } from '../metrics/load-metrics.ts'
import { createMemoryStore } from '../rate-limit/memory.ts'
import { parseArguments } from './arguments.ts'
import type { Command } from './command-context.ts'
import { exitCodes } from './exit-codes.ts'

/** Never connected to: the document is made of the routes alone. */
const nowhere = 'postgres://nobody@localhost/nowhere'

/** Prints what `/docs/json` answers, without settings, secret or database. */
export const openapi: Command = async (args, context) => {
  parseArguments(args)
  const config = readConfig({ DATABASE_URL: nowhere, JWT_SECRET: generateSecret() })
  const database = await openDatabase(config.database)
  const app = createApp({
    config,
    db: database.db,
    rateLimitStore: createMemoryStore(),
    log: createLog(() => {}, 'silent'),
    processState: { inFlight: () => 0, pool: database.pool, watchEventLoopLag: () => {} },
    isUp: () => false,
    isReady: async () => false,
    peerOf: () => undefined,
    createMetrics: await loadMetrics(undefined),
  })
  const answer = await app.fetch(new Request('http://localhost/docs/json'))
  context.print(await answer.text())
  await database.close()
  return exitCodes.done
}
