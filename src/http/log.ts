import { Elysia } from 'elysia'
import type { Visit, Visits } from './visits.ts'

const levels = ['debug', 'info', 'warn', 'error'] as const
type Level = (typeof levels)[number]
export type Facts = Record<string, unknown>
export type Log = Record<Level, (event: string, facts?: Facts) => void>

/**
 * A log of one JSON object a line. An `error` among the facts is named by its class
 * and code only: messages of database errors carry SQL and parameters.
 */
export const logTo = (write: (line: string) => void, least: Level | 'silent'): Log => {
  const at =
    (level: Level) =>
    (event: string, facts: Facts = {}) => {
      if (least === 'silent' || levels.indexOf(level) < levels.indexOf(least)) return
      const line = { time: new Date().toISOString(), level, event }
      const error = facts.error !== undefined && named(facts.error)
      write(JSON.stringify(Object.assign(line, facts, error)))
    }
  return { debug: at('debug'), info: at('info'), warn: at('warn'), error: at('error') }
}

const named = (error: unknown) => {
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
export const pretty = (line: string): string => {
  const { time, level, event, ...facts } = JSON.parse(line)
  const { method, route, status, ms, ...others } = facts
  const isRequest = method !== undefined
  const what = isRequest ? `${method} ${route ?? '(no route)'} ${status} ${ms} ms` : event
  const rest = isRequest ? others : facts
  const more = Object.entries(rest).map(([name, value]) => `${name}=${JSON.stringify(value)}`)
  return `${time.slice(11, 23)} ${level.padEnd(5)} ${what} ${more.join(' ')}`.trimEnd()
}

/** Takes the time, once there is an answer. */
export const timed = (visit: Visit): void => {
  visit.tookMs = Math.round((performance.now() - visit.startedAtMs) * 10) / 10
}

/** One line a request, after its answer: the route's pattern, never its path or query. */
export const requestLog = (log: Log, visits: Visits) =>
  new Elysia({ name: 'request-log' })
    // Timed here: what comes after the answer waits for other requests too.
    .onAfterHandle({ as: 'global' }, ({ request }) => timed(visits.of(request)))
    .onAfterResponse({ as: 'global' }, ({ request, set }) => {
      const visit = visits.of(request)
      const status = typeof set.status === 'number' ? set.status : 200
      log[status >= 500 ? 'warn' : 'info']('request', {
        request_id: visit.id,
        method: request.method,
        route: visit.route,
        status,
        ms: visit.tookMs,
        user_id: visit.caller?.userId,
        fault: visit.fault,
        trace_id: visit.trace?.traceId,
        parent_id: visit.trace?.parentId,
      })
    })
