import { createApp } from '../app.ts'
import { readConfig } from '../config.ts'
import { memoryCounters } from '../counters/memory.ts'
import { connect } from '../db/client.ts'
import { logTo } from '../http/log.ts'
import { instrumentsFor } from '../metrics/instruments.ts'
import { freshSecret } from '../secret.ts'
import { readArguments } from './arguments.ts'
import { exits } from './exits.ts'
import type { Command } from './terminal.ts'

/** Never connected to: the document is made of the routes alone. */
const nowhere = 'postgres://nobody@localhost/nowhere'

/** Prints what `/docs/json` answers, without settings, secret or database. */
export const openapi: Command = async (args, terminal) => {
  readArguments(args)
  const config = readConfig({ DATABASE_URL: nowhere, JWT_SECRET: freshSecret() })
  const database = await connect(config.database)
  const app = createApp({
    config,
    db: database.db,
    counters: memoryCounters(),
    log: logTo(() => {}, 'silent'),
    vitals: { inFlight: () => 0, pool: database.pool, watchLag: () => {} },
    isUp: () => false,
    isReady: async () => false,
    peerOf: () => undefined,
    instruments: await instrumentsFor(undefined),
  })
  const answer = await app.fetch(new Request('http://localhost/docs/json'))
  terminal.say(await answer.text())
  await database.close()
  return exits.done
}
