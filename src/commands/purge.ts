import { upkeep } from '../tasks/upkeep.ts'
import { readArguments } from './arguments.ts'
import { withTables } from './database.ts'
import { exits } from './exits.ts'
import type { Command } from './terminal.ts'

/** The upkeep once: old trash and its tombstones, expired sessions and idempotency keys. */
export const purge: Command = async (args, terminal) => {
  readArguments(args)
  const { erased_tasks } = await withTables(terminal, ({ db }, { trashDays }) =>
    upkeep(db, trashDays),
  )
  terminal.say(`erased from the trash: ${erased_tasks}`)
  return exits.done
}
