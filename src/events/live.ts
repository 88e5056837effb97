import { createCalendarSecrets } from '../auth/calendar-feeds/secret.ts'
import { createStreamTickets } from '../auth/stream-tickets/ticket.ts'
import type { Config } from '../config/config.ts'
import type { Db } from '../db/database.ts'
import { createCursorCodec } from '../http/cursor-codec.ts'
import type { Log } from '../log.ts'
import type { Notifications } from '../notifications/notifications.ts'
import type { Waiting } from '../tasks/changes/long-poll.ts'
import { createChangesReader, createChangesRepository } from '../tasks/changes/repository.ts'
import { createChangesTokens } from '../tasks/changes/token.ts'
import { createEventStreams } from './streams.ts'

type Needs = {
  config: Pick<Config, 'jwt' | 'trashDays'>
  db: Db
  notifications: Notifications
  waiting: Waiting
  log: Log
}

/** What live updates consist of, for the routes of several features. */
export const createLive = ({ config, db, notifications, waiting, log }: Needs) => {
  const cursorCodec = createCursorCodec(config.jwt.secrets)
  const changesTokens = createChangesTokens({ cursorCodec, trashDays: config.trashDays })
  const changes = createChangesRepository(db)
  const readChanges = createChangesReader(db)
  const { stopSignal } = waiting
  return {
    cursorCodec,
    changes,
    changesTokens,
    readChanges,
    streamTickets: createStreamTickets(cursorCodec),
    calendarSecrets: createCalendarSecrets(cursorCodec),
    streams: createEventStreams({
      notifications,
      stopSignal,
      changes,
      readChanges,
      changesTokens,
      log,
    }),
  }
}
