import type { Log } from '../log.ts'

/**
 * Milliseconds. The first run comes early, because an instance that is suspended or deployed often may not run for an
 * hour. It is random, so that many instances do not run at once.
 */
export const hourlySchedule = { firstMaxMs: 60_000, everyMs: 3_600_000 }

/** Runs jobs repeatedly while the process lives. A failure is logged and does not stop the schedule. */
export const createScheduler = (log: Log, { firstMaxMs, everyMs } = hourlySchedule) => ({
  start(job: () => Promise<object>): void {
    const run = async () => {
      try {
        log.info('maintenance', { ...(await job()) })
      } catch (error) {
        log.warn('maintenance failed', { error })
      }
      setTimeout(run, everyMs).unref()
    }
    setTimeout(run, Math.random() * firstMaxMs).unref()
  },
})
