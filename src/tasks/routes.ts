import { Elysia } from 'elysia'
import { createStreamTicketRepository } from '../auth/stream-tickets/repository.ts'
import type { Config } from '../config/config.ts'
import type { Db } from '../db/database.ts'
import { eventRoutes } from '../events/routes.ts'
import type { EventStreams } from '../events/streams.ts'
import type { Authenticated } from '../http/authenticated.ts'
import type { CursorCodec } from '../http/cursor-codec.ts'
import { createListRepository } from '../lists/repository.ts'
import type { Notifications } from '../notifications/notifications.ts'
import { createBatchRepository } from './batch/repository.ts'
import { batchRoutes } from './batch/routes.ts'
import { createCalendarRepository } from './calendar/repository.ts'
import { calendarRoutes } from './calendar/routes.ts'
import { createLongPoll, type Waiting } from './changes/long-poll.ts'
import type { ChangesRepository } from './changes/repository.ts'
import { changesRoutes } from './changes/routes.ts'
import type { ChangesTokens } from './changes/token.ts'
import { createCountRepository } from './counts/repository.ts'
import { countRoutes, tagRoutes } from './counts/routes.ts'
import { createListingRepository } from './listing/repository.ts'
import { listingRoutes } from './listing/routes.ts'
import { createMoveRepository } from './move/repository.ts'
import { moveRoutes } from './move/routes.ts'
import { createTaskRepository } from './task/repository.ts'
import { taskRoutes } from './task/routes.ts'
import { createTransferRepository } from './transfer/repository.ts'
import { transferRoutes } from './transfer/routes.ts'
import { createTrashRepository } from './trash/repository.ts'
import { trashRoutes } from './trash/routes.ts'

type Needs = {
  config: Config
  db: Db
  authenticated: Authenticated
  cursorCodec: CursorCodec
  notifications: Notifications
  waiting: Waiting
  changes: ChangesRepository
  changesTokens: ChangesTokens
  streams: EventStreams
}

/** All routes of tasks, of their tags, and of their calendar. */
export const allTaskRoutes = (needs: Needs) => {
  const { db, notifications, waiting } = needs
  const counts = createCountRepository(db)
  const tasks = createTaskRepository(db)
  const longPoll = createLongPoll({ ...waiting, notifications })

  const ofTasks = new Elysia({ prefix: '/tasks' })
    .use(listingRoutes({ ...needs, listing: createListingRepository(db) }))
    .use(batchRoutes({ ...needs, batch: createBatchRepository(db) }))
    .use(changesRoutes({ ...needs, longPoll }))
    .use(eventRoutes({ ...needs, tickets: createStreamTicketRepository(db) }))
    .use(
      transferRoutes({
        ...needs,
        transfer: createTransferRepository(db),
        lists: createListRepository(db),
      }),
    )
    .use(trashRoutes({ ...needs, trash: createTrashRepository(db), tasks }))
    .use(countRoutes({ ...needs, counts }))
    .use(moveRoutes({ ...needs, moves: createMoveRepository(db) }))
    .use(taskRoutes({ ...needs, tasks }))

  return new Elysia()
    .use(ofTasks)
    .use(tagRoutes({ ...needs, counts }))
    .use(calendarRoutes({ ...needs, calendars: createCalendarRepository(db) }))
}
