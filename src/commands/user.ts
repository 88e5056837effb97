import { accountList, operatedAccount } from '../auth/operator-repository.ts'
import { passwordsOf } from '../auth/passwords.ts'
import type { Config } from '../config.ts'
import type { Database } from '../db/client.ts'
import { freshSecret } from '../secret.ts'
import { readArguments } from './arguments.ts'
import { withTables } from './database.ts'
import { CommandFailed, exits, UsageError } from './exits.ts'
import type { Command, Terminal } from './terminal.ts'

/** What the operator can do with accounts: nobody's password or token is needed. */
export const user: Command = async ([action = '', ...rest], terminal) => {
  if (action === 'list') return list(rest, terminal)
  if (action === 'reset-password') return resetPassword(rest, terminal)
  if (action === 'disable' || action === 'enable' || action === 'delete')
    return change(action, rest, terminal)
  throw new UsageError(
    `user takes list, reset-password, disable, enable or delete, not ${JSON.stringify(action)}`,
  )
}

/** Tab-separated, a line each: id, since when, state, e-mail. */
const list: Command = async (args, terminal) => {
  readArguments(args)
  await withTables(terminal, async ({ db }) => {
    for await (const page of accountList(db).pages())
      for (const { id, created_at, disabled_at, email } of page)
        terminal.say(
          [id, created_at, disabled_at ? 'disabled' : 'enabled', printable(email ?? '')].join('\t'),
        )
  })
  return exits.done
}

const resetPassword: Command = async (args, terminal) => {
  const { words, has } = readArguments(args, ['the e-mail or id'], ['stdin'])
  const given = has('stdin') ? (await terminal.input()).replace(/\r?\n$/, '') : undefined

  return withAccount(terminal, words[0], async (account, { id, email }, { passwords }) => {
    const password = given ?? freshSecret()
    if (email === null)
      throw new CommandFailed(`${named(id, email)} signs in elsewhere, without a password`)
    const { hash, weakness } = passwordsOf(passwords)
    const weak = await weakness(password, email)
    if (weak !== undefined) throw new CommandFailed(`the password ${weak}`)
    if (!(await account.replacePassword(await hash(password)))) throw gone(id)
    terminal.complain(`the password of ${named(id, email)} is replaced; all sessions have ended`)
    if (given === undefined) terminal.say(password)
  })
}

const deeds = {
  disable: 'is disabled: all sessions have ended, and nobody signs in',
  enable: 'is enabled',
  delete: 'is erased, and all that was its own',
}

const change = (action: keyof typeof deeds, args: string[], terminal: Terminal) => {
  const { words } = readArguments(args, ['the e-mail or id'])
  return withAccount(terminal, words[0], async (account, { id, email }) => {
    const does = { disable: account.disable, enable: account.enable, delete: account.erase }
    if (!(await does[action]())) throw gone(id)
    terminal.say(`${named(id, email)} ${deeds[action]}`)
  })
}

type Found = { id: string; email: string | null }
type Work = (
  account: ReturnType<typeof operatedAccount>,
  found: Found,
  config: Config,
) => Promise<void>

const withAccount = (terminal: Terminal, account = '', work: Work): Promise<number> =>
  withTables(terminal, async ({ db }: Database, config) => {
    const found = await accountList(db).find(account)
    if (found === undefined) throw gone(account)
    await work(operatedAccount(db, found.id), found, config)
    return exits.done
  })

const gone = (account: string) => new CommandFailed(`there is no account of ${printable(account)}`)
const named = (id: string, email: string | null) => (email ? `${printable(email)} (${id})` : id)

/** Whoever signed up chose the e-mail: what would steer a terminal is shown by its number. */
const printable = (text: string) =>
  text.replace(/\p{C}/gu, (mark) => `\\u{${mark.codePointAt(0)?.toString(16)}}`)
