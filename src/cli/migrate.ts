import { parseArguments } from './arguments.ts'
import type { Command } from './command-context.ts'
import { readCommandConfig, withDatabase } from './database.ts'
import { exitCodes } from './exit-codes.ts'

/** Applies the missing migrations, as a start does; for instances with `MIGRATE_ON_START=false`. */
export const migrate: Command = async (args, context) => {
  parseArguments(args)
  const applied = await withDatabase(readCommandConfig(context), (database) => database.migrate())
  for (const tag of applied) context.print(`applied ${tag}`)
  context.print('the schema is up to date')
  return exitCodes.done
}
