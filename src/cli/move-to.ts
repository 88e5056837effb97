import { join } from 'node:path'
import { openDatabase } from '../db/client.ts'
import { type Copied, copyRows } from '../db/copy.ts'
import type { Db } from '../db/database.ts'
import { inOneTransaction } from '../db/postgres.ts'
import { parseArguments } from './arguments.ts'
import type { Command } from './command-context.ts'
import { readCommandConfig, withMigratedDatabase } from './database.ts'
import { explainDatabaseError, isDatabaseError } from './diagnostics.ts'
import { CommandFailed, exitCodes, UsageError } from './exit-codes.ts'

/** The time of a statement on the target that is not a part of the copy. */
const timeoutMs = 10_000

/**
 * Copies the embedded database to an empty PostgreSQL, in one transaction: after a failure or a kill, the target has no row, and
 * the command can be repeated.
 */
export const moveTo: Command = async (args, context) => {
  const { words } = parseArguments(args, ['DATABASE_URL'])
  const [url = ''] = words
  if (!/^postgres(ql)?:\/\//.test(url) || !URL.canParse(url))
    throw new UsageError(
      'DATABASE_URL must be a URL such as postgres://user:password@host/database',
    )
  const { database, jwt } = readCommandConfig(context)
  if (database.kind !== 'embedded' || database.dataDir === undefined)
    throw new UsageError(
      'move-to copies the embedded database, but the setting DATABASE_URL names another',
    )

  const copied = await withMigratedDatabase(context, ({ db }) => copyTo(url, db))
  for (const { table, rows } of copied) context.print(`${table}\t${rows}`)
  context.print('all rows were copied, counted and compared')
  const secret =
    context.env.JWT_SECRET && jwt.secrets.length > 0
      ? 'the same JWT_SECRET'
      : `JWT_SECRET set to the content of ${join(database.dataDir, 'jwt-secret')}`
  context.print(
    `start the service with the new DATABASE_URL and ${secret}: sessions and tokens stay valid`,
  )
  return exitCodes.done
}

const copyTo = async (url: string, from: Db): Promise<Copied[]> => {
  const settings = { kind: 'postgres', poolMax: 1, timeoutMs, prepare: false } as const
  const target = await openDatabase({ ...settings, url, migrationUrl: url })
  try {
    await target.migrate()
    return await inOneTransaction(url, async (send) => {
      await send('lock table users in exclusive mode')
      if ((await send('select from users limit 1')).length > 0)
        throw new CommandFailed('the target has accounts already: move-to needs an empty database')
      return copyRows(from, send)
    })
  } catch (error) {
    if (!(error instanceof Error) || !isDatabaseError(error)) throw error
    throw new CommandFailed(`the target cannot be used: ${explainDatabaseError(error, 'the URL')}`)
  } finally {
    await target.close()
  }
}
