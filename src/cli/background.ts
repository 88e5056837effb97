import type { Jobs } from '../app.ts'
import { activityFlushMs, createSessionActivity } from '../auth/sessions/activity.ts'
import type { Config } from '../config/config.ts'
import type { Db } from '../db/database.ts'
import type { Log } from '../log.ts'
import { purgeExpired } from '../maintenance/purge.ts'
import { createScheduler } from '../maintenance/scheduler.ts'

type Needs = { config: Config; db: Db; log: Log }

/** What runs without a request: the jobs of the application, the last use of sessions, and the purge. */
export const createBackground = ({ config, db, log }: Needs) => {
  const sessionActivity = createSessionActivity({ db, log })
  let jobs: Jobs | undefined
  const all = () => [jobs?.mailSender, jobs?.webhookDispatcher, jobs?.reminderJob]

  return {
    /** What the application calls. */
    listeners: {
      onJobs: (created: Jobs): void => {
        jobs = created
      },
      recordUse: (...use: Parameters<typeof sessionActivity.record>): void => {
        sessionActivity.record(...use)
        jobs?.reminderJob.noteActivity()
      },
    },

    /** Starts everything. The database has its migrations. */
    start: (): void => {
      for (const job of all()) job?.start()
      setInterval(sessionActivity.flush, activityFlushMs).unref()
      createScheduler(log).start(() => purgeExpired(db, config.trashDays))
    },

    /** Stores the last uses of sessions, starts nothing more, and waits a short time for what is running. */
    stop: () => Promise.all([sessionActivity.flush(), ...all().map((job) => job?.stop())]),
  }
}
