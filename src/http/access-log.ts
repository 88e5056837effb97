import { Elysia } from 'elysia'
import type { Log } from '../log.ts'
import type { RequestContext, RequestContexts } from './request-context.ts'

/** Sets the duration of a request, in milliseconds with one decimal. */
export const recordDuration = (context: RequestContext): void => {
  context.durationMs = Math.round((performance.now() - context.startedAtMs) * 10) / 10
}

/** Writes one line per request after its response: the pattern of the route, never the path or the query. */
export const accessLog = (log: Log, contexts: RequestContexts) =>
  new Elysia({ name: 'access-log' })
    // The duration ends here: what runs after the response waits for other requests too.
    .onAfterHandle({ as: 'global' }, ({ request }) => recordDuration(contexts.of(request)))
    .onAfterResponse({ as: 'global' }, ({ request, set }) => {
      const context = contexts.of(request)
      const status = typeof set.status === 'number' ? set.status : 200
      log[status >= 500 ? 'warn' : 'info']('request', {
        request_id: context.id,
        method: request.method,
        route: context.route,
        status,
        ms: context.durationMs,
        user_id: context.principal?.userId,
        fault: context.databaseErrorCode,
        trace_id: context.trace?.traceId,
        parent_id: context.trace?.parentId,
      })
    })
