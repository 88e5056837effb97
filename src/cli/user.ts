import { createInvitationLink, createInvitedAccount } from '../auth/accounts/invitation.ts'
import {
  createAccountDirectory,
  createOperatedAccount,
} from '../auth/accounts/operator-repository.ts'
import { Name } from '../auth/accounts/schema.ts'
import { createPasswordHasher } from '../auth/passwords/hasher.ts'
import type { Config } from '../config/config.ts'
import { generateSecret } from '../config/jwt-secret.ts'
import type { Database, Db } from '../db/database.ts'
import { createLog, formatForTerminal } from '../log.ts'
import { createLinkTokens } from '../mail/link-tokens.ts'
import { createMailLinks } from '../mail/links.ts'
import { createMail } from '../mail/mail.ts'
import { createNoticeStatements } from '../mail/notices.ts'
import { createMemoryStore } from '../rate-limit/memory.ts'
import { normalizeEmail } from '../schema/email.ts'
import { Email } from '../schema/types.ts'
import { explainMismatch } from '../schema/validators.ts'
import { parseArguments } from './arguments.ts'
import type { Command, CommandContext } from './command-context.ts'
import { withMigratedDatabase } from './database.ts'
import { CommandFailed, exitCodes, UsageError } from './exit-codes.ts'

/** Operator commands for accounts. */
export const user: Command = async ([action = '', ...rest], context) => {
  if (action === 'list') return list(rest, context)
  if (action === 'create') return create(rest, context)
  if (action === 'reset-password') return resetPassword(rest, context)
  if (action === 'disable' || action === 'enable' || action === 'delete')
    return change(action, rest, context)
  throw new UsageError(
    `user takes list, create, reset-password, disable, enable or delete, not ${JSON.stringify(action)}`,
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

const create: Command = async (args, context) => {
  const { textOf, has } = parseArguments(args, [], ['print-link'], ['email', 'name'])
  const email = textOf('email')
  if (email === undefined) throw new UsageError('--email is missing')
  const name = textOf('name') ?? null
  const mismatch =
    explainMismatch(newEmail, email) ?? (name === null ? undefined : explainMismatch(Name, name))
  if (mismatch !== undefined) throw new UsageError(`--email or --name: ${mismatch}`)

  await withMigratedDatabase(context, async ({ db }, config) => {
    const printsLink = has('print-link')
    if (config.mail === undefined && !printsLink)
      throw new CommandFailed(
        'there is no mail server: set MAIL_URL, or print the link with --print-link',
      )
    const draft = { email: normalizeEmail(email), name, isMailed: !printsLink }
    // A random password, which the link replaces.
    const { hash } = createPasswordHasher(config.passwords)
    const created = await createInvitedAccount(db, { ...draft, hash: await hash(generateSecret()) })
    if (created === undefined) throw new CommandFailed(`${printable(email)} has an account already`)
    logOperator(context, 'create', created.id)
    context.printError(`${named(created.id, draft.email)} was created`)
    if (printsLink) {
      const tokens = createLinkTokens([generateSecret()])
      const token = await createInvitationLink(db, created, tokens)
      context.print(config.links.resetUrl.replace('{token}', token))
    } else context.printError('a link to set the password is mailed, and is valid for one day')
    await sendMail(db, config)
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
    logOperator(context, 'reset-password', id)
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
    logOperator(context, action, id)
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
    const notices = createNoticeStatements(db, config.mail !== undefined)
    await work(createOperatedAccount(db, found.id, notices), found, config)
    await sendMail(db, config)
    return exitCodes.done
  })

/** One line per action on an account, for the log of the platform: which action, on which account. */
const logOperator = (context: CommandContext, action: string, user_id: string) => {
  const write = (line: string) =>
    context.printError(context.isTerminal ? formatForTerminal(line) : line)
  createLog(write, 'info').info('operator', { action, user_id })
}

/** Sends the message of the command now. If the mail server fails, the service sends it later. */
const sendMail = async (db: Db, { mail, links: linkConfig, jwt }: Config) => {
  if (mail === undefined) return
  const log = createLog(() => {}, 'silent')
  const tokens = createLinkTokens(jwt.secrets)
  const config = { mail, links: linkConfig }
  const links = createMailLinks(db)
  const rateLimitStore = createMemoryStore()
  await createMail({ config, db, links, tokens, rateLimitStore, log }).flush()
}

const newEmail = Email({})

const notFound = (account: string) => new CommandFailed(`there is no account ${printable(account)}`)
const named = (id: string, email: string | null) => (email ? `${printable(email)} (${id})` : id)

/** Users choose their e-mail: control characters for the terminal are shown as escapes. */
const printable = (text: string) =>
  text.replace(/\p{C}/gu, (mark) => `\\u{${mark.codePointAt(0)?.toString(16)}}`)
