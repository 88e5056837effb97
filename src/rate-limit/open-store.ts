import { parseConnectionUrl } from '../db/pool/connection-url.ts'
import { createPool } from '../db/pool/pool.ts'
import { createMemoryStore } from './memory.ts'
import { createPostgresStore } from './postgres.ts'
import { createRedisStore } from './redis.ts'
import type { RateLimitStore } from './store.ts'

export type RateLimitStoreSettings =
  | { kind: 'memory' }
  | { kind: 'postgres'; url: string; prepare: 'auto' | boolean }
  | { kind: 'redis'; url: string }

/**
 * Deadline for one count, connecting included; then the request is 503. One second was too short for bursts on a
 * busy machine: requests were refused that the store would have counted.
 */
const deadlineMs = 3000
/** Connections of the store's own pool, so that counting never queues behind slow statements. */
const connectionsMax = 4

/** Opens the store without connecting, so that the process starts while the store is down. */
export const openRateLimitStore = (
  settings: RateLimitStoreSettings,
  timeoutMs = deadlineMs,
): RateLimitStore => {
  if (settings.kind === 'memory') return createMemoryStore()
  if (settings.kind === 'redis') return createRedisStore({ url: settings.url, timeoutMs })

  const { url, prepare } = settings
  const target = parseConnectionUrl(url)
  const pool = createPool({ target, max: connectionsMax, timeoutMs, prepare, configure: () => {} })
  return createPostgresStore({
    run: (text, params) => pool.run((sql) => sql.unsafe(text, params, { prepare: true })),
    close: () => pool.close(),
  })
}
