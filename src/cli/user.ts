import {
  createAccountDirectory,
  createOperatedAccount,
} from '../auth/accounts/operator-repository.ts'
import { createPasswordHasher } from '../auth/passwords/hasher.ts'
import type { Config } from '../config/config.ts'
import { generateSecret } from '../config/jwt-secret.ts'
import type { Database } from '../db/database.ts'
import { parseArguments } from './arguments.ts'
import type { Command, CommandContext } from './command-context.ts'
import { withMigratedDatabase } from './database.ts'
import { CommandFailed, exitCodes, UsageError } from './exit-codes.ts'

/** Operator commands for accounts. */
export const user: Command = async ([action = '', ...rest], context) => {
  if (action === 'list') return list(rest, context)
  if (action === 'reset-password') return resetPassword(rest, context)
  if (action === 'disable' || action === 'enable' || action === 'delete')
    return change(action, rest, context)
  throw new UsageError(
    `user takes list, reset-password, disable, enable or delete, not ${JSON.stringify(action)}`,
  )
}

/** One tab-separated line per account: id, creation time, state, e-mail. */
const list: Command = async (args, context) => {
  parseArguments(args)
  await withMigratedDatabase(context, async ({ db }) => {
    for await (const page of createAccountDirectory(db).pages())
      for (const { id, created_at, disabled_at, email } of page)
        context.print(
          [id, created_at, disabled_at ? 'disabled' : 'enabled', printable(email ?? '')].join('\t'),
        )
  })
  return exitCodes.done
}

const resetPassword: Command = async (args, context) => {
  const { words, has } = parseArguments(args, ['the e-mail or id'], ['stdin'])
  const fromStdin = has('stdin') ? (await context.readStdin()).replace(/\r?\n$/, '') : undefined

  return withAccount(context, words[0], async (account, { id, email }, { passwords }) => {
    const password = fromStdin ?? generateSecret()
    if (email === null)
      throw new CommandFailed(
        `${named(id, email)} signs in through another identity provider and has no password`,
      )
    const { hash, findWeakness } = createPasswordHasher(passwords)
    const weak = await findWeakness(password, email)
    if (weak !== undefined) throw new CommandFailed(`the password ${weak}`)
    if (!(await account.replacePassword(await hash(password)))) throw notFound(id)
    context.printError(`the password of ${named(id, email)} was replaced; all sessions have ended`)
    if (fromStdin === undefined) context.print(password)
  })
}

const outcomes = {
  disable: 'is disabled: all sessions have ended, and sign-in is refused',
  enable: 'is enabled',
  delete: 'is erased, with all its data',
}

const change = (action: keyof typeof outcomes, args: string[], context: CommandContext) => {
  const { words } = parseArguments(args, ['the e-mail or id'])
  return withAccount(context, words[0], async (account, { id, email }) => {
    const does = { disable: account.disable, enable: account.enable, delete: account.erase }
    if (!(await does[action]())) throw notFound(id)
    context.print(`${named(id, email)} ${outcomes[action]}`)
  })
}

type Found = { id: string; email: string | null }
type Work = (
  account: ReturnType<typeof createOperatedAccount>,
  found: Found,
  config: Config,
) => Promise<void>

const withAccount = (context: CommandContext, account = '', work: Work): Promise<number> =>
  withMigratedDatabase(context, async ({ db }: Database, config) => {
    const found = await createAccountDirectory(db).find(account)
    if (found === undefined) throw notFound(account)
    await work(createOperatedAccount(db, found.id), found, config)
    return exitCodes.done
  })

const notFound = (account: string) => new CommandFailed(`there is no account ${printable(account)}`)
const named = (id: string, email: string | null) => (email ? `${printable(email)} (${id})` : id)

/** Users choose their e-mail: control characters for the terminal are shown as escapes. */
const printable = (text: string) =>
  text.replace(/\p{C}/gu, (mark) => `\\u{${mark.codePointAt(0)?.toString(16)}}`)
