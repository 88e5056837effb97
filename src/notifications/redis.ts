import { RedisClient } from 'bun'
import { createRedisClient } from '../rate-limit/redis-client.ts'
import type { Channel } from './channel.ts'

type Settings = { url: string; timeoutMs: number }

/** Other programs may use the same Redis. */
const channelName = 'taskwarden:changes'

/** Redis pub/sub: one connection to publish, and one to receive while someone listens. */
export const createRedisChannel = ({ url, timeoutMs }: Settings): Channel => {
  const publisher = createRedisClient(url, timeoutMs)
  return {
    publish: async (text) => {
      await publisher.send('PUBLISH', [channelName, text])
    },

    receive: async ({ onMessage, onLost }) => {
      const client = new RedisClient(url, {
        connectionTimeout: timeoutMs,
        autoReconnect: false,
        enableOfflineQueue: false,
      })
      client.onclose = onLost
      try {
        await client.connect()
        await client.subscribe(channelName, onMessage)
      } catch (error) {
        close()
        throw error
      }
      return { close }

      function close() {
        client.onclose = () => {}
        client.close()
      }
    },

    close: async () => publisher.close(),
  }
}
