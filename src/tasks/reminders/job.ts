import { epochMs } from '../../db/clock.ts'
import type { Log } from '../../log.ts'
import type { Notifications } from '../../notifications/notifications.ts'
import { createRepeatedJob } from '../../repeated-job.ts'
import { Unavailable } from '../../unavailable.ts'
import type { Due, ReminderRepository } from './repository.ts'

type Needs = {
  reminders: ReminderRepository
  notifications: Pick<Notifications, 'publish'>
  /** A mail is waiting to be sent. */
  onMail: () => void
  log: Log
}

/** Tasks per read: the statement of one user locks at most as many. */
const tasksMax = 500
/** How often to look for new reminders while the service is in use. */
const pollMs = 5000
/** How soon to try again while the database is down. */
const retryMs = 5000
/** How often at least, so that an idle service lets a serverless database sleep until the next reminder. */
const idlePollMsMax = 600_000
/** Idle: this long without a request of a user. */
const idleAfterMs = 300_000

/**
 * Delivers the reminders of all users: within 5 s of a write that sets one, and otherwise at its time. What was due while no
 * instance ran is delivered at the start.
 */
export const createReminderJob = ({ reminders, notifications, onMail, log }: Needs) => {
  let activeAtMs = performance.now()
  let nextAtMs = Number.POSITIVE_INFINITY
  let runsAtMs = 0
  let isFailing = false

  /** Returns how many tasks wait for their next reminder now. */
  const deliverTo = async ({ userId, ids }: Due): Promise<number> => {
    try {
      const { tasks, delivered, isMailed } = await reminders.deliver(userId, ids)
      if (delivered > 0) {
        log.info('reminders delivered', { user_id: userId, count: delivered })
        notifications.publish(userId)
      }
      if (isMailed) onMail()
      return tasks
    } catch (error) {
      if (error instanceof Unavailable) throw error
      // Other users get theirs.
      log.error('reminders of a user failed', { user_id: userId, error })
      return 0
    }
  }

  const deliverDue = async (): Promise<void> => {
    nextAtMs = Number.POSITIVE_INFINITY
    try {
      for (let tasks = tasksMax; tasks >= tasksMax && !job.isStopped(); ) {
        const { due, nextAt } = await reminders.upcoming(tasksMax)
        if (nextAt !== undefined) nextAtMs = Date.parse(nextAt)
        tasks = 0
        for (const one of due) tasks += await deliverTo(one)
      }
      isFailing = false
    } catch (error) {
      // Nothing is lost. An outage is one line.
      if (!isFailing) log.warn('reminders failed', { error })
      isFailing = true
    }
  }

  const pauseMs = (): number => {
    const isIdle = performance.now() - activeAtMs > idleAfterMs
    const pollInMs = isIdle ? idlePollMsMax : pollMs
    const pause = isFailing ? retryMs : Math.max(0, Math.min(nextAtMs - epochMs(), pollInMs))
    runsAtMs = performance.now() + pause
    return pause
  }
  const job = createRepeatedJob({ work: deliverDue, pauseMs })

  return {
    /** The database is in use, and a reminder may have been set. */
    noteActivity: (): void => {
      activeAtMs = performance.now()
      if (runsAtMs - activeAtMs > pollMs) job.reschedule()
    },
    /** Delivers what is due now, and waits for it. */
    flush: job.run,
    start: job.start,
    /** Delivers no more, and waits a short time for a statement that is running. */
    stop: job.stop,
  }
}

export type ReminderJob = ReturnType<typeof createReminderJob>
