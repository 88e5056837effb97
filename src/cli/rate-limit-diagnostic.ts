import type { Config } from '../config/config.ts'
import { openRateLimitStore } from '../rate-limit/open-store.ts'
import { diagnoseRedis } from '../rate-limit/redis-errors.ts'
import { RateLimitStoreUnavailable } from '../rate-limit/store.ts'
import { type Diagnostic, explainDatabaseError } from './diagnostics.ts'

/** Whether the rate-limit store responds, and if not, why. */
export const diagnoseRateLimitStore = async ({
  rateLimitStore: settings,
}: Config): Promise<Diagnostic> => {
  const subject = 'limits'
  if (settings.kind === 'memory')
    return {
      level: 'ok',
      subject,
      message:
        'counted in memory; with more than one instance, set RATE_LIMIT_STORE to postgres or redis',
    }
  const rateLimitStore = openRateLimitStore(settings)
  try {
    await rateLimitStore.ping()
    return { level: 'ok', subject, message: `the store responds (${settings.kind})` }
  } catch (error) {
    const code = error instanceof RateLimitStoreUnavailable ? error.code : 'a bug'
    const why =
      settings.kind === 'redis'
        ? `${await diagnoseRedis(settings.url)} (${code})`
        : explainDatabaseError(Object.assign(new Error(), { name: 'PostgresError', code }))
    return { level: 'wrong', subject, message: `every request is 503: ${why}` }
  } finally {
    await rateLimitStore.close()
  }
}
