import type { LinkConfig } from '../config/mail.ts'
import type { MailTemplate } from '../db/mail-tables.ts'
import type { LinkTokens } from './link-tokens.ts'
import { invitationSeconds, type MailLinks } from './links.ts'
import type { Message } from './outbox.ts'
import type { ReminderComposer } from './reminders.ts'
import { type Content, renderMail } from './templates/layout.ts'
import {
  invitation,
  resetPassword,
  signUpAgain,
  verifyEmail,
  verifyNewEmail,
} from './templates/links.ts'
import {
  accountErased,
  accountExists,
  emailChanged,
  emailTaken,
  passwordChanged,
  refreshTokenReused,
  webhookDisabled,
} from './templates/notices.ts'
import type { Mail } from './transport.ts'

type Needs = {
  from: string
  linkConfig: LinkConfig
  links: MailLinks
  tokens: LinkTokens
  composeReminders: ReminderComposer
}
type Link = { url: string; code: string }
type Composed = { to: string; content: Content } | undefined

/** Seconds until a link for a forgotten password expires: a short time (OWASP). */
const resetSeconds = 3600
const verifySeconds = invitationSeconds

/** Returns the function that composes a message; undefined if it has no recipient any more. */
export const createComposer = ({ from, linkConfig, links, tokens, composeReminders }: Needs) => {
  const { publicUrl } = linkConfig
  const urls = { reset: linkConfig.resetUrl, verify: linkConfig.verifyUrl }

  const withLink = async (
    message: Message,
    target: Omit<Parameters<MailLinks['issue']>[1], 'hash'>,
    template: (link: Link) => Content,
  ): Promise<Composed> => {
    const account = await links.issue(message, { ...target, hash: tokens.hashFor(message.id) })
    if (account === undefined) return undefined
    const code = tokens.format(account.id, message.id)
    const url = urls[target.kind].replace('{token}', code)
    return { to: account.email, content: template({ url, code }) }
  }

  const reset = { kind: 'reset' as const, of: 'any' as const }
  const verify = { kind: 'verify' as const, seconds: verifySeconds }
  const composers: Record<MailTemplate, (message: Message) => Promise<Composed>> = {
    'reset-password': (one) => withLink(one, { ...reset, seconds: resetSeconds }, resetPassword),
    invitation: (one) => withLink(one, { ...reset, seconds: verifySeconds }, invitation),
    'verify-email': (one) => withLink(one, { ...verify, of: 'unverified' }, verifyEmail),
    'verify-new-email': async (one) =>
      (await links.isTaken(one.recipient, one.user_id))
        ? { to: one.recipient, content: emailTaken }
        : withLink(one, { ...verify, of: 'pending' }, verifyNewEmail),
    'sign-up-again': (one) =>
      withLink(one, { ...reset, of: 'due', seconds: verifySeconds }, signUpAgain),
    'account-exists': notice(accountExists),
    'password-changed': notice(passwordChanged),
    'email-changed': notice(emailChanged),
    'account-erased': notice(accountErased),
    'refresh-token-reused': notice(refreshTokenReused),
    'webhook-disabled': notice(webhookDisabled),
    reminders: composeReminders,
    none: async () => undefined,
  }

  return async (message: Message): Promise<Mail | undefined> => {
    const composed = await composers[message.template](message)
    if (composed === undefined || !deliverable.test(composed.to)) return undefined
    const messageId = `${message.id}@${new URL(publicUrl).hostname}`
    return { messageId, from, to: composed.to, ...renderMail(composed.content, publicUrl) }
  }
}

export type Composer = ReturnType<typeof createComposer>

const notice =
  (content: Content) =>
  async ({ recipient: to }: Message): Promise<Composed> => ({ to, content })

/** Addresses without the characters of a list, a route or a quoted string, none of which a mail server accepts here. */
const deliverable = /^[^\s<>()[\],;:\\"@\p{Cc}]+@[^\s<>()[\],;:\\"@\p{Cc}]+$/u
