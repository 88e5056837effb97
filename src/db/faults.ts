import { Unavailable } from '../unavailable.ts'
import { underOneDeadline } from './patience.ts'

/**
 * The database could not do a statement in time: a 503, not a bug. It carries a
 * code for the log and nothing else, because drivers put SQL and parameters
 * into their errors.
 */
export class DatabaseUnavailable extends Unavailable {
  override readonly name = 'DatabaseUnavailable'
  /** A SQLSTATE, a driver's or system's code (`ECONNREFUSED`), or `deadline`, `queue`, `closed`. */
  declare readonly code: string

  constructor(code: string) {
    super(`the database is unavailable (${code})`, code)
  }
}

/** SQLSTATEs of a server that went away, and the drivers' and the system's words for it. */
const lost =
  /^(57P0[1245]|08...|CONNECTION_\w+|CONNECT_TIMEOUT|E[A-Z_]+|ERR_(SOCKET|STREAM|TLS)_\w+)$/

/** Deadlock and serialization failure: the server undid the statement, so it may be sent again. */
const undone = /^(40001|40P01)$/

/**
 * Out of resources (53), an error of its disk (58), a cancelled statement, a server that starts, a lock not
 * had in time, a primary that became a standby, an account or database that is not there (yet) or is shut,
 * a certificate that does not verify.
 */
const refused =
  /^(53...|58...|57014|57P03|55P03|25006|28...|3D000|55000|(CERT|UNABLE|SELF_SIGNED|DEPTH)_\w+)$/

/** Runs a read: once more when the connection was lost, since a read can be repeated. */
export const runRead = <Result>(run: () => PromiseLike<Result>): Promise<Result> =>
  onceMoreAfter(lost, run)

/**
 * Runs a write: once more after a deadlock only. A write whose connection was
 * lost may have been committed, so it is never sent twice.
 */
export const runWrite = <Result>(run: () => PromiseLike<Result>): Promise<Result> =>
  onceMoreAfter(undone, run)

/** Whether a statement broke this unique or foreign key constraint; both drivers' shapes. */
export const violatesConstraint = (error: unknown, constraint: string): boolean =>
  causes(error).some(
    (cause) =>
      (cause.code === '23505' || cause.code === '23503') &&
      (cause.constraint_name ?? cause.constraint) === constraint,
  )

/** What to throw for an error of a driver: itself if it is a bug, without its SQL if it is not. */
export const toDatabaseError = (error: unknown): unknown => {
  const own = causes(error).find((cause) => cause instanceof DatabaseUnavailable)
  const code = codeOf(error)
  if (own) return own
  return [lost, undone, refused].some((kind) => kind.test(code))
    ? new DatabaseUnavailable(code)
    : error
}

const onceMoreAfter = async <Result>(kind: RegExp, run: () => PromiseLike<Result>) => {
  const send = underOneDeadline()
  try {
    return await send(run)
  } catch (error) {
    if (!kind.test(codeOf(error))) throw toDatabaseError(error)
  }
  try {
    return await send(run)
  } catch (error) {
    throw toDatabaseError(error)
  }
}

type Fault = Error & { code?: unknown; constraint?: unknown; constraint_name?: unknown }

const codeOf = (error: unknown) =>
  String(causes(error).find((cause) => cause.code !== undefined)?.code ?? '')

/** The error and what it wraps: Drizzle puts the driver's error into `cause`. */
const causes = (error: unknown): Fault[] =>
  error instanceof Error ? [error, ...causes(error.cause)] : []
