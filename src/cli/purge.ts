import { purgeExpired } from '../maintenance/purge.ts'
import { parseArguments } from './arguments.ts'
import type { Command } from './command-context.ts'
import { withMigratedDatabase } from './database.ts'
import { exitCodes } from './exit-codes.ts'

/** Runs the maintenance once: old trash and tombstones, expired sessions and idempotency keys. */
export const purge: Command = async (args, context) => {
  parseArguments(args)
  const { erased_tasks } = await withMigratedDatabase(context, ({ db }, { trashDays }) =>
    purgeExpired(db, trashDays),
  )
  context.print(`erased from the trash: ${erased_tasks}`)
  return exitCodes.done
}
