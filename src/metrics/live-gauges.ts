import type { EventStreams } from '../events/streams.ts'
import type { Notifications } from '../notifications/notifications.ts'
import type { WebhookDispatcher } from '../webhooks/dispatcher.ts'

/** The parts of live updates whose state is shown. */
export type LiveParts = {
  streams: EventStreams
  notifications: Notifications
  dispatcher: WebhookDispatcher
}

type Gauge = (name: string, help: string, read: () => number) => void

/** Open streams, the delay between instances, and webhooks that fail. */
export const registerLiveGauges = (gauge: Gauge, parts: () => LiveParts): void => {
  const webhooks = () => parts().dispatcher.state()
  gauge('taskwarden_streams_open', 'Open event streams.', () => parts().streams.openCount())
  gauge(
    'taskwarden_notification_lag_seconds',
    'How long the last notification took between instances; 0 with the embedded database.',
    () => parts().notifications.lagMs() / 1000,
  )
  gauge(
    'taskwarden_webhooks_failing',
    'Enabled webhooks whose last delivery failed, of all users.',
    () => webhooks().failing,
  )
  gauge(
    'taskwarden_webhook_oldest_seconds',
    'Age of the oldest change that a failing webhook has not received.',
    () => webhooks().oldestSeconds,
  )
}
