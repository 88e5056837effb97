import { addressOf } from '../db/address.ts'
import { poolOf } from '../db/pool.ts'
import { createMemoryStore } from './memory.ts'
import { createPostgresStore } from './postgres.ts'
import { createRedisStore } from './redis.ts'
import type { RateLimitStore } from './store.ts'

export type RateLimitStoreSettings =
  | { kind: 'memory' }
  | { kind: 'postgres'; url: string; prepare: 'auto' | boolean }
  | { kind: 'redis'; url: string }

/**
 * Counting holds each request up: past this, connecting included, it is 503. A second was too short for
 * a burst on a machine that has other work: requests were refused that the store would have counted.
 */
const deadlineMs = 3000
/** Connections that counting has for itself, so that it never queues behind slow statements. */
const connectionsMax = 4

/** Opens the store; nothing is connected yet, so that the process starts while it is down. */
export const openRateLimitStore = (
  settings: RateLimitStoreSettings,
  timeoutMs = deadlineMs,
): RateLimitStore => {
  if (settings.kind === 'memory') return createMemoryStore()
  if (settings.kind === 'redis') return createRedisStore({ url: settings.url, timeoutMs })

  const { url, prepare } = settings
  const address = addressOf(url)
  const pool = poolOf({ address, max: connectionsMax, timeoutMs, prepare, dress: () => {} })
  return createPostgresStore({
    run: (text, params) => pool.run((sql) => sql.unsafe(text, params, { prepare: true })),
    close: () => pool.close(),
  })
}
