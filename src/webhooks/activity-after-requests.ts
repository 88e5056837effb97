import { Elysia } from 'elysia'
import type { RequestContexts } from '../http/request-context.ts'
import type { WebhookDispatcher } from './dispatcher.ts'

/** Tells the dispatcher that the database is in use. `/health` does not use it. */
export const activityAfterRequests = (dispatcher: WebhookDispatcher, contexts: RequestContexts) =>
  new Elysia({ name: 'activity-after-requests' }).onAfterResponse(
    { as: 'global' },
    ({ request }) => {
      if (contexts.of(request).route !== '/health') dispatcher.noteActivity()
    },
  )
