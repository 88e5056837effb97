import type { NotificationConfig } from '../config/notifications.ts'
import type { Db } from '../db/database.ts'
import type { Log } from '../log.ts'
import type { Channel } from './channel.ts'
import { createNotifications, type Notifications } from './notifications.ts'
import { createPostgresChannel } from './postgres.ts'
import { createRedisChannel } from './redis.ts'
import { createStaleSubscriberQuery } from './stale-subscribers.ts'

type Needs = { config: NotificationConfig; db: Db; log: Log }

/** How long a connection to the channel, or a message to Redis, may take. */
const timeoutMs = 3000

/** Nothing is connected until someone publishes or listens. */
export const openNotifications = ({ config, db, log }: Needs): Notifications => {
  const channel = openChannel(config, db)
  // Without other instances, and in one process, no notification is lost.
  const findStale = channel && createStaleSubscriberQuery(db)
  return createNotifications({ channel, findStale, log })
}

const openChannel = (config: NotificationConfig, db: Db): Channel | undefined => {
  if (config.kind === 'none') return undefined
  return config.kind === 'redis'
    ? createRedisChannel({ url: config.url, timeoutMs })
    : createPostgresChannel({ db, listenUrl: config.listenUrl, timeoutMs })
}
