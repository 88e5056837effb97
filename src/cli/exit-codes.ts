import { ConfigError } from '../config/environment.ts'
import { explainDatabaseError, isDatabaseError } from './diagnostics.ts'

/** 2 as shells have it for a wrong call, 78 as `sysexits.h` does for wrong settings, 130 as for a Ctrl-C. */
export const exitCodes = { done: 0, failed: 1, misused: 2, misconfigured: 78, interrupted: 130 }

/** The command was called in a way that it does not know. */
export class UsageError extends Error {
  override readonly name = 'UsageError'
}

/** What was asked for cannot be done, for a reason that its message says. */
export class CommandFailed extends Error {
  override readonly name = 'CommandFailed'
}

/**
 * Errors whose message is for a person, with what that person can do. By their names: their
 * files would load the databases, for commands that need none.
 */
const userErrors: Record<string, string> = {
  ListenError: '',
  CommandFailed: '',
  DataDirectoryDamaged: '',
  DataDirectoryInUse: '; stop that one first',
  MigrationRefused: '; use the version that the database is of, or restore a backup',
  SecretDamaged: '',
}

/** What a person can act on, a line each, and the exit code; a bug keeps its stack. */
export const describeError = (error: unknown): { lines: string[]; code: number } => {
  if (error instanceof ConfigError)
    return { lines: error.problems.map(named), code: exitCodes.misconfigured }
  if (error instanceof UsageError)
    return { lines: [named(`${error.message}; see taskwarden --help`)], code: exitCodes.misused }
  return { lines: [named(messageOf(error))], code: exitCodes.failed }
}

const messageOf = (error: unknown): string => {
  if (!(error instanceof Error)) return String(error)
  const advice = Object.hasOwn(userErrors, error.name) ? userErrors[error.name] : undefined
  if (advice !== undefined) return error.message + advice
  if (isDatabaseError(error)) return `the database cannot be used: ${explainDatabaseError(error)}`
  // Of files it uses those in DATA_DIR only: the CA of a database is read with the settings.
  if ('path' in error && 'syscall' in error && 'code' in error)
    return `${error.path} cannot be used (${error.syscall}: ${error.code}); DATA_DIR is to be a directory that this user may write to`
  return error.stack ?? error.message
}

const named = (line: string) => `taskwarden: ${line}`
