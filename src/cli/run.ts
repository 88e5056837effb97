import { version } from '../../package.json' with { type: 'json' }
import type { Command, CommandContext } from './command-context.ts'
import { describeError, exitCodes, UsageError } from './exit-codes.ts'

/** Loaded when called, so that a health check every ten seconds does not load the service. */
const commands: Record<string, () => Promise<Command>> = {
  serve: async () => (await import('./serve.ts')).serve,
  migrate: async () => (await import('./migrate.ts')).migrate,
  doctor: async () => (await import('./doctor.ts')).doctor,
  healthcheck: async () => (await import('./healthcheck.ts')).healthcheck,
  user: async () => (await import('./user.ts')).user,
  backup: async () => (await import('./backup.ts')).backup,
  restore: async () => (await import('./backup.ts')).restore,
  'move-to': async () => (await import('./move-to.ts')).moveTo,
  purge: async () => (await import('./purge.ts')).purge,
  openapi: async () => (await import('./openapi.ts')).openapi,
  // Not in the help: `serve` starts it.
  worker: async () => (await import('./workers/worker.ts')).worker,
}

const help = `taskwarden ${version}: a task management REST API for many users

Usage: taskwarden [command]

  serve                    run the service; the default command
  migrate                  apply the missing migrations
  doctor                   check settings, database, TLS, migrations, tables, mail server,
                           rate-limit store and clock, and print what to do
  healthcheck              check whether the service on this machine's PORT responds
  user list                list all accounts: id, creation time, state, e-mail
  user create --email EMAIL [--name NAME] [--print-link]
                           create an account, and mail or print a link to set its password
  user reset-password WHO [--stdin]
                           set a new password, read from stdin or generated and printed
                           once; ends all sessions
  user disable WHO         end all sessions and refuse sign-in
  user enable WHO          permit sign-in again
  user delete WHO          erase the account and all its data
  backup FILE              write a backup of the embedded database, while the service runs or not
  restore FILE             create the embedded database of a backup in an empty DATA_DIR
  move-to DATABASE_URL     copy the embedded database to an empty PostgreSQL
  purge                    delete expired rows, as the service does every hour
  openapi                  print the OpenAPI document

  WHO is an e-mail or an id.

  --help, --version        print this text; print the version

Settings are environment variables; the README has a table of them.

Exit codes: 0 done, 1 failed, 2 wrong usage, 78 invalid settings, 130 second signal.`

/** Runs the command of the arguments and returns the exit code. */
export const run = async (args: string[], context: CommandContext): Promise<number> => {
  const [name = 'serve', ...rest] = args
  try {
    if ([name, ...rest].some((arg) => arg === '--help' || arg === '-h')) context.print(help)
    else if (name === '--version') context.print(`taskwarden ${version}`)
    else return await (await commandOf(name))(rest, context)
    return exitCodes.done
  } catch (error) {
    const { lines, code } = describeError(error)
    for (const line of lines) context.printError(line)
    return code
  }
}

const commandOf = (name: string): Promise<Command> => {
  const load = Object.hasOwn(commands, name) ? commands[name] : undefined
  if (load) return load()
  throw new UsageError(`there is no command ${JSON.stringify(name)}`)
}
