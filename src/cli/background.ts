import { activityFlushMs, createSessionActivity } from '../auth/sessions/activity.ts'
import type { Config } from '../config/config.ts'
import type { Db } from '../db/database.ts'
import type { Log } from '../log.ts'
import type { MailSender } from '../mail/sender.ts'
import { purgeExpired } from '../maintenance/purge.ts'
import { createScheduler } from '../maintenance/scheduler.ts'
import type { Notifications } from '../notifications/notifications.ts'
import { createReminderJob } from '../tasks/reminders/job.ts'
import { createReminderRepository } from '../tasks/reminders/repository.ts'
import type { WebhookDispatcher } from '../webhooks/dispatcher.ts'

type Needs = { config: Config; db: Db; notifications: Notifications; log: Log }

/** What runs without a request: mail, webhooks, reminders, the last use of sessions, and the purge. */
export const createBackground = ({ config, db, notifications, log }: Needs) => {
  const sessionActivity = createSessionActivity({ db, log })
  let mailSender: MailSender | undefined
  let webhookDispatcher: WebhookDispatcher | undefined
  const reminderJob = createReminderJob({
    reminders: createReminderRepository(db, { hasMail: config.mail !== undefined }),
    notifications,
    onMail: () => mailSender?.pollSoon(),
    log,
  })

  return {
    /** What the application tells of itself. */
    listeners: {
      onMailSender: (sender: MailSender): void => {
        mailSender = sender
      },
      onWebhookDispatcher: (dispatcher: WebhookDispatcher): void => {
        webhookDispatcher = dispatcher
      },
      recordUse: (...use: Parameters<typeof sessionActivity.record>): void => {
        sessionActivity.record(...use)
        reminderJob.noteActivity()
      },
    },

    /** Starts everything. The database has its migrations. */
    start: (): void => {
      mailSender?.start()
      webhookDispatcher?.start()
      reminderJob.start()
      setInterval(sessionActivity.flush, activityFlushMs).unref()
      createScheduler(log).start(() => purgeExpired(db, config.trashDays))
    },

    /** Stores the last uses of sessions, starts nothing more, and waits a short time for what is running. */
    stop: () =>
      Promise.all([
        sessionActivity.flush(),
        reminderJob.stop(),
        mailSender?.stop(),
        webhookDispatcher?.stop(),
      ]),
  }
}
