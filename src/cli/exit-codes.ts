import { ConfigError } from '../config/environment.ts'
import { explainDatabaseError, isDatabaseError } from './diagnostics.ts'

/** 2 is the shells' code for wrong usage, 78 is EX_CONFIG of `sysexits.h`, 130 is the code after Ctrl-C. */
export const exitCodes = { done: 0, failed: 1, misused: 2, misconfigured: 78, interrupted: 130 }

/** The command was called with wrong arguments. */
export class UsageError extends Error {
  override readonly name = 'UsageError'
}

/** The command failed; the message says why. */
export class CommandFailed extends Error {
  override readonly name = 'CommandFailed'
}

/**
 * Errors whose message is for the operator, with advice to append. By name, because importing the classes would
 * load the database drivers for commands that do not need them.
 */
const userErrors: Record<string, string> = {
  ListenError: '',
  CommandFailed: '',
  CopyDiffers: '; nothing was copied: please report this',
  DataDirectoryDamaged: '',
  DataDirectoryNotEmpty: '',
  DataDirectoryInUse: '; stop that process first',
  MigrationFailed: '; nothing of it was applied',
  MigrationRefused: '; use the version that migrated the database, or restore a backup',
  SecretDamaged: '',
}

/** The lines for the operator and the exit code. A bug keeps its stack. */
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
  // Other files than those in DATA_DIR are read with the settings, which report their own errors.
  if ('path' in error && 'syscall' in error && 'code' in error)
    return `${error.path} cannot be used (${error.syscall}: ${error.code}); DATA_DIR must be a directory that this user may write to`
  return error.stack ?? error.message
}

const named = (line: string) => `taskwarden: ${line}`
