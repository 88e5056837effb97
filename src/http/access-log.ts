import { Elysia } from 'elysia'
import type { RequestContext, RequestContexts } from './request-context.ts'

const levels = ['debug', 'info', 'warn', 'error'] as const
type Level = (typeof levels)[number]
export type LogFields = Record<string, unknown>
export type Log = Record<Level, (event: string, fields?: LogFields) => void>

/**
 * A log of one JSON object a line. An `error` among the facts is named by its class
 * and code only: messages of database errors carry SQL and parameters.
 */
export const createLog = (write: (line: string) => void, least: Level | 'silent'): Log => {
  const at =
    (level: Level) =>
    (event: string, fields: LogFields = {}) => {
      if (least === 'silent' || levels.indexOf(level) < levels.indexOf(least)) return
      const line = { time: new Date().toISOString(), level, event }
      const error = fields.error !== undefined && errorFields(fields.error)
      write(JSON.stringify(Object.assign(line, fields, error)))
    }
  return { debug: at('debug'), info: at('info'), warn: at('warn'), error: at('error') }
}

const errorFields = (error: unknown) => {
  type Fault = { code?: unknown; constraint_name?: unknown; constraint?: unknown }
  const { name, cause, stack, ...own } = error as Error & Fault
  // Drizzle wraps what the driver throws.
  const { code, constraint_name, constraint } = (cause ?? error) as Fault
  return {
    error: name ?? typeof error,
    code: code ?? own.code,
    constraint: constraint_name ?? constraint,
    // The frames, without the first line: it is the message.
    at: stack
      ?.split('\n')
      .filter((line) => /^\s+at /.test(line))
      .slice(0, 8)
      .map((line) => line.trim()),
  }
}

/** The same, for a person at a terminal. */
export const formatForTerminal = (line: string): string => {
  const { time, level, event, ...fields } = JSON.parse(line)
  const { method, route, status, ms, ...others } = fields
  const isRequest = method !== undefined
  const what = isRequest ? `${method} ${route ?? '(no route)'} ${status} ${ms} ms` : event
  const rest = isRequest ? others : fields
  const more = Object.entries(rest).map(([name, value]) => `${name}=${JSON.stringify(value)}`)
  return `${time.slice(11, 23)} ${level.padEnd(5)} ${what} ${more.join(' ')}`.trimEnd()
}

/** Takes the time, once there is an answer. */
export const recordDuration = (requestContext: RequestContext): void => {
  requestContext.durationMs = Math.round((performance.now() - requestContext.startedAtMs) * 10) / 10
}

/** One line a request, after its answer: the route's pattern, never its path or query. */
export const accessLog = (log: Log, contexts: RequestContexts) =>
  new Elysia({ name: 'request-log' })
    // Timed here: what comes after the answer waits for other requests too.
    .onAfterHandle({ as: 'global' }, ({ request }) => recordDuration(contexts.of(request)))
    .onAfterResponse({ as: 'global' }, ({ request, set }) => {
      const requestContext = contexts.of(request)
      const status = typeof set.status === 'number' ? set.status : 200
      log[status >= 500 ? 'warn' : 'info']('request', {
        request_id: requestContext.id,
        method: request.method,
        route: requestContext.route,
        status,
        ms: requestContext.durationMs,
        user_id: requestContext.principal?.userId,
        databaseErrorCode: requestContext.databaseErrorCode,
        trace_id: requestContext.trace?.traceId,
        parent_id: requestContext.trace?.parentId,
      })
    })
