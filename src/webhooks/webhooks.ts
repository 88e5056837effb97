import type { Config } from '../config/config.ts'
import type { Db } from '../db/database.ts'
import type { Log } from '../log.ts'
import type { NoticeStatements } from '../mail/notices.ts'
import type { Notifications } from '../notifications/notifications.ts'
import type { ChangesReader } from '../tasks/changes/repository.ts'
import { createDestinations, type Resolve } from './destination.ts'
import { createWebhookDispatcher } from './dispatcher.ts'
import { createWebhookQueue } from './queue.ts'
import { createWebhookRepository } from './repository.ts'
import { createSend } from './send.ts'

type Needs = {
  config: Pick<Config, 'webhooks'>
  db: Db
  notices: NoticeStatements
  notifications: Notifications
  readChanges: ChangesReader
  /** By DNS, unless given. */
  resolve?: Resolve | undefined
  log: Log
}

/** What the routes of webhooks need, and the dispatcher, which the process starts and stops. */
export const createWebhooks = ({ config, db, notices, resolve, ...needs }: Needs) => {
  const destinations = createDestinations(config.webhooks, resolve)
  const send = createSend(destinations)
  const queue = createWebhookQueue(db, notices)
  return {
    webhooks: createWebhookRepository(db),
    destinations,
    send,
    dispatcher: createWebhookDispatcher({ ...needs, queue, send }),
  }
}
