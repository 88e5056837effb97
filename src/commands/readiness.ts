import { CountersUnavailable } from '../counters/counters.ts'
import type { Log } from '../http/log.ts'
import { reasonOf } from './findings.ts'

type Store = { ping(): Promise<void> }
type Needs = { database: Store; counters: Store; log: Log }

/**
 * Whether the stores answer. Said in the log when it changes and not each time: probes ask every few
 * seconds, and their 503 alone does not say what is missing.
 */
export const readinessOf = ({ database, counters, log }: Needs) => {
  let missing: string | undefined

  const note = (now: string | undefined, facts: Record<string, unknown> = {}) => {
    if (now === missing) return
    missing = now
    if (now === undefined) log.info('ready again')
    else log.warn('not ready', { missing: now, ...facts })
  }

  return async (): Promise<boolean> => {
    try {
      await database.ping()
    } catch (error) {
      note('database', { reason: reasonOf(error) })
      return false
    }
    try {
      await counters.ping()
    } catch (error) {
      const code = error instanceof CountersUnavailable ? error.code : 'a bug'
      note('limits', { reason: `RATE_LIMIT_STORE does not answer (${code})` })
      return false
    }
    note(undefined)
    return true
  }
}
