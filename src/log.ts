const levels = ['debug', 'info', 'warn', 'error'] as const
type Level = (typeof levels)[number]
export type LogFields = Record<string, unknown>
export type Log = Record<Level, (event: string, fields?: LogFields) => void>

/**
 * A log with one JSON object per line, each with the fields `always`. Of an `error` among the fields, only class, code and stack frames are
 * written: messages of database errors contain SQL and parameters.
 */
export const createLog = (
  write: (line: string) => void,
  levelMin: Level | 'silent',
  always: LogFields = {},
): Log => {
  const logAt =
    (level: Level) =>
    (event: string, fields: LogFields = {}) => {
      if (levelMin === 'silent' || levels.indexOf(level) < levels.indexOf(levelMin)) return
      const line = { time: new Date().toISOString(), level, event }
      const error = fields.error !== undefined && errorFields(fields.error)
      write(JSON.stringify(Object.assign(line, always, fields, error)))
    }
  return { debug: logAt('debug'), info: logAt('info'), warn: logAt('warn'), error: logAt('error') }
}

const stackFramesMax = 8

const errorFields = (error: unknown) => {
  type DriverError = { code?: unknown; constraint_name?: unknown; constraint?: unknown }
  const { name, cause, stack, ...own } = error as Error & DriverError
  // Drizzle wraps the driver's error.
  const { code, constraint_name, constraint } = (cause ?? error) as DriverError
  return {
    error: name ?? typeof error,
    code: code ?? own.code,
    constraint: constraint_name ?? constraint,
    // Without the first line, which is the message.
    at: stack
      ?.split('\n')
      .filter((line) => /^\s+at /.test(line))
      .slice(0, stackFramesMax)
      .map((line) => line.trim()),
  }
}

/** A log line as a person reads it in a terminal. */
export const formatForTerminal = (line: string): string => {
  const { time, level, event, ...fields } = JSON.parse(line)
  const { method, route, status, ms, ...others } = fields
  const isRequest = method !== undefined
  const what = isRequest ? `${method} ${route ?? '(no route)'} ${status} ${ms} ms` : event
  const rest = isRequest ? others : fields
  const more = Object.entries(rest).map(([name, value]) => `${name}=${JSON.stringify(value)}`)
  return `${time.slice(11, 23)} ${level.padEnd(5)} ${what} ${more.join(' ')}`.trimEnd()
}
