import type { Db } from '../db/database.ts'
import { runWrite } from '../db/errors.ts'
import { parseConnectionUrl } from '../db/pool/connection-url.ts'
import { createListeningClient } from '../db/pool/driver.ts'
import type { Channel } from './channel.ts'

type Settings = {
  db: Db
  /** A direct connection: a pooler in transaction mode forgets LISTEN. */
  listenUrl: string
  timeoutMs: number
}

const channelName = 'taskwarden_changes'

/**
 * NOTIFY through the pool, and one connection that LISTENs while someone listens.
 *
 * NOTIFY is a statement of its own: inside the statement of a write, it takes a lock of the whole database at commit, so
 * that all writes commit one after the other (PostgreSQL, async.c).
 */
export const createPostgresChannel = ({ db, listenUrl, timeoutMs }: Settings): Channel => ({
  publish: async (text) => {
    await runWrite(() => db.$client.arrays('select pg_notify($1, $2)', [channelName, text]))
  },

  receive: async ({ onMessage, onLost }) => {
    const client = createListeningClient(parseConnectionUrl(listenUrl), {
      timeoutMs,
      onMessage,
      onLost,
    })
    try {
      await client.listen(channelName)
    } catch (error) {
      client.close()
      throw error
    }
    return { close: client.close }
  },

  close: async () => {},
})
