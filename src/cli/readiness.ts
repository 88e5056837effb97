import type { Log } from '../log.ts'
import { RateLimitStoreUnavailable } from '../rate-limit/store.ts'
import { explainDatabaseError } from './diagnostics.ts'

type Store = { ping(): Promise<void> }
type Needs = { database: Store; rateLimitStore: Store; log: Log }

/**
 * Whether database and rate-limit store respond. A change is logged with its reason once, because probes ask every
 * few seconds and see only the 503.
 */
export const createReadinessCheck = ({ database, rateLimitStore, log }: Needs) => {
  let missing: string | undefined

  const note = (now: string | undefined, fields: Record<string, unknown> = {}) => {
    if (now === missing) return
    missing = now
    if (now === undefined) log.info('ready again')
    else log.warn('not ready', { missing: now, ...fields })
  }

  return async (): Promise<boolean> => {
    try {
      await database.ping()
    } catch (error) {
      note('database', { reason: explainDatabaseError(error) })
      return false
    }
    try {
      await rateLimitStore.ping()
    } catch (error) {
      const code = error instanceof RateLimitStoreUnavailable ? error.code : 'a bug'
      note('limits', { reason: `RATE_LIMIT_STORE does not respond (${code})` })
      return false
    }
    note(undefined)
    return true
  }
}
