import { Elysia } from 'elysia'
import type { RequestContexts } from '../http/request-context.ts'
import type { Notifications } from './notifications.ts'

/** Notifies after each response to a request that may have changed tasks or ended sessions. */
export const publishAfterWrites = (notifications: Notifications, contexts: RequestContexts) =>
  new Elysia({ name: 'publish-after-writes' }).onAfterResponse(
    { as: 'global' },
    ({ request, set }) => {
      const { principal, changedUserId } = contexts.of(request)
      if (changedUserId !== undefined) notifications.publish(changedUserId)
      if (principal === undefined || !changes(request.method)) return
      const status = typeof set.status === 'number' ? set.status : 200
      // The statement of a 503 may have been committed.
      if (status < 400 || status >= 500) notifications.publish(principal.userId)
    },
  )

const changes = (method: string) => method !== 'GET' && method !== 'HEAD' && method !== 'OPTIONS'
