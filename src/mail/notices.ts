import type { Subquery } from 'drizzle-orm'
import type { Db } from '../db/database.ts'
import { invalidateLinks } from './invalid-links.ts'
import { insertMessage } from './outbox.ts'

type Account = Subquery & { id: unknown; email: unknown }

/**
 * The CTEs that make mailed links invalid and store the notice of a change, as parts of its statement. Without mail there
 * are no notices.
 * `account`: the CTE of the change, with `id` and `email` of the account.
 */
export const createNoticeStatements = (db: Db, isEnabled: boolean) => ({
  ofNewPassword: (account: Account, userId: string) => [
    invalidateLinks(db, account, userId),
    ...(isEnabled ? [insertMessage(db, account, userId, 'password-changed')] : []),
  ],

  /** To the address that the account had before. */
  ofNewEmail: (account: Account, userId: string) =>
    isEnabled
      ? [invalidateLinks(db, account, userId), insertMessage(db, account, userId, 'email-changed')]
      : [],

  /** As `ofNewEmail`, for a link that makes the change, which invalidates the links itself. */
  ofVerifiedEmail: (account: Account, userId: string) =>
    isEnabled ? [insertMessage(db, account, userId, 'email-changed')] : [],

  ofErasure: (account: Account, userId: string) =>
    isEnabled ? [insertMessage(db, account, userId, 'account-erased')] : [],

  ofReusedToken: (account: Account, userId: string) =>
    isEnabled ? [insertMessage(db, account, userId, 'refresh-token-reused')] : [],
})

export type NoticeStatements = ReturnType<typeof createNoticeStatements>
