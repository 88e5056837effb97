import type { Db } from '../../db/database.ts'
import { throwProblem } from '../../http/problem.ts'
import type { RequestContexts } from '../../http/request-context.ts'
import type { Log } from '../../log.ts'
import type { LinkTokens } from '../../mail/link-tokens.ts'
import type { MailLinks } from '../../mail/links.ts'
import type { NoticeStatements } from '../../mail/notices.ts'
import { type PasswordHasher, requireStrongPassword } from '../passwords/hasher.ts'
import { createPasswordResetRepository } from './repository.ts'

type Needs = {
  db: Db
  notices: NoticeStatements
  links: MailLinks
  tokens: LinkTokens
  passwords: PasswordHasher
  contexts: RequestContexts
  log: Log
}

/** What the routes and the page share. */
export const createPasswordReset = ({
  db,
  notices,
  links,
  tokens,
  passwords,
  contexts,
  log,
}: Needs) => {
  const resets = createPasswordResetRepository(db, notices)

  return {
    request: resets.request,

    /**
     * Sets a new password by the token of a link; `link-expired` or `weak-password` otherwise. The token is used up last,
     * by the statement that replaces the password, so a refused password leaves it valid.
     */
    reset: async (token: string, newPassword: string, request: Request): Promise<void> => {
      const { userId, hash } = tokens.parse(token) ?? throwProblem('link-expired')
      const email = (await links.find(userId, 'reset', hash)) ?? throwProblem('link-expired')
      await requireStrongPassword(passwords, newPassword, email, '/new_password')
      const newHash = await passwords.hash(newPassword)
      if (!(await resets.reset(userId, hash, newHash))) throwProblem('link-expired')
      const context = contexts.of(request)
      context.changedUserId = userId
      log.info('password reset', { request_id: context.id, user_id: userId })
    },
  }
}

export type PasswordReset = ReturnType<typeof createPasswordReset>
