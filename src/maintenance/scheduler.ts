import type { Log } from '../log.ts'

/**
 * Milliseconds. The first comes soon, since an instance that sleeps while nobody calls, or is deployed often,
 * may not live for an hour; at a moment of its own, so that twenty do not all come at once.
 */
export const hourlySchedule = { firstMaxMs: 60_000, everyMs: 3_600_000 }

/** Does what has to be done again and again, as long as the process lives; a failure is logged, and the next comes all the same. */
export const schedule = (
  work: () => Promise<object>,
  log: Log,
  { firstMaxMs, everyMs } = hourlySchedule,
): void => {
  const run = async () => {
    try {
      log.info('upkeep', { ...(await work()) })
    } catch (error) {
      log.warn('upkeep failed', { error })
    }
    setTimeout(run, everyMs).unref()
  }
  setTimeout(run, Math.random() * firstMaxMs).unref()
}
