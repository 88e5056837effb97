import { Unavailable } from '../unavailable.ts'
import { withSharedDeadline } from './pool/time-budget.ts'

/** The database cannot run a statement in time: 503. */
export class DatabaseUnavailable extends Unavailable {
  override readonly name = 'DatabaseUnavailable'
  /** A SQLSTATE, a code of the driver or the system (`ECONNREFUSED`), or `deadline`, `queue`, `closed`, `contention`. */
  declare readonly code: string

  constructor(code: string) {
    super(`the database is unavailable (${code})`, code)
  }
}

/** SQLSTATEs and driver codes of a lost connection. */
const connectionLost =
  /^(57P0[1245]|08...|CONNECTION_\w+|CONNECT_TIMEOUT|E[A-Z_]+|ERR_(SOCKET|STREAM|TLS)_\w+)$/

/** Deadlock and serialization failure: the server rolled the statement back, so it may be repeated. */
const rolledBack = /^(40001|40P01)$/

/**
 * Insufficient resources (53), disk errors (58), a cancelled statement, a starting server, a lock timeout, a standby, a
 * missing or closed role or database, an untrusted certificate.
 */
const refusedByServer =
  /^(53...|58...|57014|57P03|55P03|25006|28...|3D000|55000|(CERT|UNABLE|SELF_SIGNED|DEPTH)_\w+)$/

/** Runs a read, and repeats it once if the connection was lost. */
export const runRead = <Result>(run: () => PromiseLike<Result>): Promise<Result> =>
  retryOnce(connectionLost, run)

/**
 * Runs a write, and repeats it once after a deadlock only. A write whose connection was lost may have been committed,
 * so it is never repeated.
 */
export const runWrite = <Result>(run: () => PromiseLike<Result>): Promise<Result> =>
  retryOnce(rolledBack, run)

/** Whether a statement violated this unique, foreign key or check constraint, in the error form of either driver. */
export const violatesConstraint = (error: unknown, constraint: string): boolean =>
  violated(error) === constraint

/**
 * The name of the violated constraint. Citus has it in the message only, as the last name in quotes (which differ between languages),
 * and with the number of the shard if it has an index: `… on table "tasks_102012" violates … constraint "tasks_list_102012"`.
 */
const violated = (error: unknown): string | undefined => {
  const cause = causes(error).find(({ code }) => /^235(03|05|14)$/.test(String(code)))
  const name = cause?.constraint_name ?? cause?.constraint
  if (name !== undefined) return String(name)
  const quoted = [...(cause?.message ?? '').matchAll(/["»«„“”]\s?(\w+)\s?["»«„“”]/g)].at(-1)
  return quoted?.[1]?.replace(/_\d{6,}$/, '')
}

/** Whether the server does not know a time zone (22023): its IANA database may be older than that of this process. */
export const isUnknownTimeZone = (error: unknown): boolean => codeOf(error) === '22023'

/** Runs a statement again, at most `times`, if a concurrent one violated a constraint whose name starts with `prefix`. */
export const retryOnConstraint = async <T>(
  prefix: string,
  times: number,
  run: () => Promise<T>,
): Promise<T> => {
  for (let attempt = 1; ; attempt++)
    try {
      return await run()
    } catch (error) {
      if (attempt === times || !violated(error)?.startsWith(prefix)) throw error
    }
}

/** The error to throw for a driver error: `DatabaseUnavailable` without its SQL, or the error itself if it is a bug. */
export const toDatabaseError = (error: unknown): unknown => {
  const own = causes(error).find((cause) => cause instanceof DatabaseUnavailable)
  const code = codeOf(error)
  if (own) return own
  return [connectionLost, rolledBack, refusedByServer].some((kind) => kind.test(code))
    ? new DatabaseUnavailable(code)
    : error
}

const retryOnce = async <Result>(kind: RegExp, run: () => PromiseLike<Result>) => {
  const send = withSharedDeadline()
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

type DriverError = Error & { code?: unknown; constraint?: unknown; constraint_name?: unknown }

const codeOf = (error: unknown) =>
  String(causes(error).find((cause) => cause.code !== undefined)?.code ?? '')

/** The error and its causes: Drizzle puts the driver's error into `cause`. */
const causes = (error: unknown): DriverError[] =>
  error instanceof Error ? [error, ...causes(error.cause)] : []
