import { version } from '../../package.json' with { type: 'json' }
import type { Command, CommandContext } from './command-context.ts'
import { describeError, exitCodes, UsageError } from './exit-codes.ts'

/** Loaded when called: a health check every ten seconds does not load the service each time. */
const commands: Record<string, () => Promise<Command>> = {
  serve: async () => (await import('./serve.ts')).serve,
  migrate: async () => (await import('./migrate.ts')).migrate,
  doctor: async () => (await import('./doctor.ts')).doctor,
  healthcheck: async () => (await import('./healthcheck.ts')).healthcheck,
  user: async () => (await import('./user.ts')).user,
  purge: async () => (await import('./purge.ts')).purge,
  openapi: async () => (await import('./openapi.ts')).openapi,
}

const help = `taskwarden ${version}: a task list for each of many users, as a REST API

Usage: taskwarden [command]

  serve                    answer requests; this is what happens without a command
  migrate                  bring the schema up to date
  doctor                   look at settings, database, TLS, migrations, limits and clock,
                           and say what to do
  healthcheck              ask the service on this machine's PORT whether it runs
  user list                all accounts: id, since when, state, e-mail
  user reset-password WHO [--stdin]
                           a new password, read from stdin or made and shown once;
                           ends all sessions
  user disable WHO         end all sessions, and let nobody sign in
  user enable WHO          let them sign in again
  user delete WHO          erase the account and all that is its own
  purge                    erase what has had its time, as the service does every hour
  openapi                  the OpenAPI document

  WHO is an e-mail or an id.

  --help, --version        this text; the version

Settings are environment variables; the README has a table of them.

Exit codes: 0 done, 1 failed, 2 not a command, 78 wrong settings, 130 a second signal.`

/** Does what the arguments say, and gives the exit code. */
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
