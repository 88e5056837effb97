import type { Log } from '../http/access-log.ts'
import { RateLimitStoreUnavailable } from '../rate-limit/store.ts'
import { explainDatabaseError } from './diagnostics.ts'

type Store = { ping(): Promise<void> }
type Needs = { database: Store; rateLimitStore: Store; log: Log }

/**
 * Whether the stores answer. Said in the log when it changes and not each time: probes ask every few
 * seconds, and their 503 alone does not say what is missing.
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
      note('limits', { reason: `RATE_LIMIT_STORE does not answer (${code})` })
      return false
    }
    note(undefined)
    return true
  }
}
