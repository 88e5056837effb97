import { readArguments } from './arguments.ts'
import { settingsOf, withDatabase } from './database.ts'
import { exits } from './exits.ts'
import type { Command } from './terminal.ts'

/** Brings the schema up to date, as a start would; for where instances start with `MIGRATE_ON_START=false`. */
export const migrate: Command = async (args, terminal) => {
  readArguments(args)
  const applied = await withDatabase(settingsOf(terminal), (database) => database.migrate())
  for (const tag of applied) terminal.say(`applied ${tag}`)
  terminal.say('the schema is up to date')
  return exits.done
}
