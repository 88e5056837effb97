import { createRedisClient } from './redis-client.ts'
import type { RateLimitStore } from './store.ts'

type Settings = {
  /** `redis://` or `rediss://`, with user, password and database number. Valkey works too. */
  url: string
  /** For one round trip, connecting included. */
  timeoutMs: number
}

/** Other programs may use the same Redis. */
const prefix = 'taskwarden:'

/**
 * Counters in Redis, for any number of instances. The time to live of a key is its window, by the clock of Redis, and
 * expired keys vanish by themselves. Each script is atomic.
 *
 * Scripts are sent with EVAL. EVALSHA saves 200 bytes but no measurable time, and has to load the scripts again after
 * each restart.
 */
export const createRedisStore = ({ url, timeoutMs }: Settings): RateLimitStore => {
  const link = createRedisClient(url, timeoutMs)
  const run = (script: string, key: string, ...rest: string[]) =>
    link.send('EVAL', [script, '1', prefix + key, ...rest])

  return {
    add: async (key, windowMs) => {
      const [count, leftMs] = (await run(addScript, key, String(windowMs))) as [number, number]
      return { count, resetsAt: Date.now() + leftMs }
    },
    decrement: async (key) => {
      await run(giveBackScript, key)
    },
    reset: async (key) => {
      await link.send('DEL', [prefix + key])
    },
    ping: async () => {
      await link.send('PING', [])
    },
    close: async () => link.close(),
  }
}

/** The window is open while it has time left, not while the count is above 0: a count may be decremented to 0. */
const addScript = `
local left = redis.call('PTTL', KEYS[1])
if left > 0 then return { redis.call('INCR', KEYS[1]), left } end
redis.call('SET', KEYS[1], 1, 'PX', ARGV[1])
return { 1, tonumber(ARGV[1]) }`

const giveBackScript = `
if tonumber(redis.call('GET', KEYS[1]) or 0) > 0 then redis.call('DECR', KEYS[1]) end
return 0`
