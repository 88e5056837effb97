import type { Subquery } from 'drizzle-orm'
import type { Db } from '../db/database.ts'
import type { MailTemplate } from '../db/mail-tables.ts'
import { invalidateLinks } from './invalid-links.ts'
import { insertMessage } from './outbox.ts'

type Account = Subquery & { email: unknown }

/**
 * The CTEs that make mailed links invalid and store the notice of a change, as parts of its statement. Without mail there
 * are no notices. `account`: the CTE of the change, with the `email` of the account.
 */
export const createNoticeStatements = (db: Db, isEnabled: boolean) => {
  const notice = (account: Account, userId: string, template: MailTemplate) =>
    isEnabled ? [insertMessage(db, account, { userId, template })] : []

  return {
    ofNewPassword: (account: Account, userId: string) => [
      invalidateLinks(db, account, userId),
      ...notice(account, userId, 'password-changed'),
    ],
    /** To the address that the account had before. */
    ofNewEmail: (account: Account, userId: string) => [
      invalidateLinks(db, account, userId),
      ...notice(account, userId, 'email-changed'),
    ],
    /** As `ofNewEmail`, for a link that makes the change, which invalidates the links itself. */
    ofVerifiedEmail: (account: Account, userId: string) => notice(account, userId, 'email-changed'),
    ofErasure: (account: Account, userId: string) => notice(account, userId, 'account-erased'),
    ofDisabledWebhook: (account: Account, userId: string) =>
      notice(account, userId, 'webhook-disabled'),
    ofReusedToken: (account: Account, userId: string) =>
      notice(account, userId, 'refresh-token-reused'),
  }
}

export type NoticeStatements = ReturnType<typeof createNoticeStatements>
