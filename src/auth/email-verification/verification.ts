import type { Db } from '../../db/database.ts'
import { throwProblem } from '../../http/problem.ts'
import type { RequestContexts } from '../../http/request-context.ts'
import type { Log } from '../../log.ts'
import type { LinkTokens } from '../../mail/link-tokens.ts'
import type { NoticeStatements } from '../../mail/notices.ts'
import { createEmailVerificationRepository } from './repository.ts'

type Needs = {
  db: Db
  notices: NoticeStatements
  tokens: LinkTokens
  contexts: RequestContexts
  log: Log
}

/** What the routes and the page share. */
export const createEmailVerification = ({ db, notices, tokens, contexts, log }: Needs) => {
  const verifications = createEmailVerificationRepository(db, notices)
  return {
    verifications,
    /** Uses up the token of a link; `link-expired` otherwise. */
    verify: async (token: string, request: Request): Promise<void> => {
      const { userId, hash } = tokens.parse(token) ?? throwProblem('link-expired')
      if (!(await verifications.verify(userId, hash))) throwProblem('link-expired')
      log.info('e-mail verified', { request_id: contexts.of(request).id, user_id: userId })
    },
  }
}

export type EmailVerification = ReturnType<typeof createEmailVerification>
