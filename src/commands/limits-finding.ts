import type { Config } from '../config.ts'
import { CountersUnavailable } from '../counters/counters.ts'
import { redisTrouble } from '../counters/redis-trouble.ts'
import { openCounters } from '../counters/store.ts'
import { type Finding, reasonOf } from './findings.ts'

/** Whether the store of the limits answers, and if not, why. */
export const limitsFinding = async ({ counters: settings }: Config): Promise<Finding> => {
  const subject = 'limits'
  if (settings.kind === 'memory')
    return {
      verdict: 'ok',
      subject,
      says: 'counted in memory; with more than one instance set RATE_LIMIT_STORE to postgres or redis',
    }
  const counters = openCounters(settings)
  try {
    await counters.ping()
    return { verdict: 'ok', subject, says: `the store answers (${settings.kind})` }
  } catch (error) {
    const code = error instanceof CountersUnavailable ? error.code : 'a bug'
    const why =
      settings.kind === 'redis'
        ? `${await redisTrouble(settings.url)} (${code})`
        : reasonOf(Object.assign(new Error(), { name: 'PostgresError', code }))
    return { verdict: 'wrong', subject, says: `every request is 503: ${why}` }
  } finally {
    await counters.close()
  }
}
