import { createRedisClient } from './redis-client.ts'
import type { RateLimitStore } from './store.ts'

type Settings = {
  /** `redis://` or `rediss://`, with user, password and database. Valkey speaks the same. */
  url: string
  /** For one round trip, connecting included. */
  timeoutMs: number
}

/** So that a Redis may have other users. */
const prefix = 'taskwarden:'

/**
 * Counters in Redis, for any number of instances. A key's time to live is its window, so the clock is
 * Redis's, and what has expired goes by itself. Each script is one atomic step.
 *
 * The scripts are sent by EVAL each time. EVALSHA saves 200 bytes and nothing that could be
 * measured, and has to be told the scripts again after each restart.
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

/** By the time that is left and not by the count: one that was given back to 0 is still in its window. */
const addScript = `
local left = redis.call('PTTL', KEYS[1])
if left > 0 then return { redis.call('INCR', KEYS[1]), left } end
redis.call('SET', KEYS[1], 1, 'PX', ARGV[1])
return { 1, tonumber(ARGV[1]) }`

const giveBackScript = `
if tonumber(redis.call('GET', KEYS[1]) or 0) > 0 then redis.call('DECR', KEYS[1]) end
return 0`
