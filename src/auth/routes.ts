import { Elysia } from 'elysia'
import type { Config } from '../config/config.ts'
import type { Db } from '../db/database.ts'
import type { Authenticated } from '../http/authenticated.ts'
import { createOrigin } from '../http/origin.ts'
import type { RequestContexts } from '../http/request-context.ts'
import type { Log } from '../log.ts'
import type { NoticeStatements } from '../mail/notices.ts'
import type { RateLimitCounters } from '../rate-limit/store.ts'
import type { Jwt } from './access-tokens/jwt.ts'
import { createAccountRepository } from './accounts/repository.ts'
import { accountRoutes } from './accounts/routes.ts'
import type { CalendarSecrets } from './calendar-feeds/secret.ts'
import { emailVerificationRoutes } from './email-verification/routes.ts'
import type { EmailVerification } from './email-verification/verification.ts'
import { createLinkLimit } from './link-limit.ts'
import { createLoginThrottle } from './login-throttle.ts'
import type { PasswordReset } from './password-reset/password-reset.ts'
import { passwordResetRoutes } from './password-reset/routes.ts'
import type { PasswordHasher } from './passwords/hasher.ts'
import { createPersonalTokenRepository } from './personal-tokens/repository.ts'
import { personalTokenRoutes } from './personal-tokens/routes.ts'
import { refreshTokenRoutes } from './refresh-tokens/routes.ts'
import { createSessionTokens } from './refresh-tokens/session-tokens.ts'
import type { SessionRepository } from './sessions/repository.ts'
import { sessionRoutes } from './sessions/routes.ts'
import { createSignInRepository } from './sign-in/repository.ts'
import { signInRoutes } from './sign-in/routes.ts'
import { createVerifiedSignUp } from './sign-in/verified-sign-up.ts'
import { createStreamTicketRepository } from './stream-tickets/repository.ts'
import { streamTicketRoutes } from './stream-tickets/routes.ts'
import type { StreamTickets } from './stream-tickets/ticket.ts'

type Needs = {
  config: Config
  db: Db
  rateLimitStore: RateLimitCounters
  log: Log
  contexts: RequestContexts
  jwt: Jwt
  passwords: PasswordHasher
  notices: NoticeStatements
  passwordReset: PasswordReset
  emailVerification: EmailVerification
  sessions: SessionRepository
  authenticated: Authenticated
  streamTickets: StreamTickets
  calendarSecrets: CalendarSecrets
}

/** All routes of accounts and sessions. */
export const authRoutes = (needs: Needs) => {
  const { config, db, rateLimitStore, log, notices } = needs
  const loginThrottle = createLoginThrottle(config.signIn, rateLimitStore, log)
  const isOverLinkLimit = createLinkLimit(rateLimitStore)
  const shared = { ...needs, ...createSessionTokens(needs), loginThrottle, isOverLinkLimit }
  const signIns = createSignInRepository(db, config.jwt)
  const verifiedSignUp =
    config.mail?.isVerificationRequired === true
      ? createVerifiedSignUp({ ...shared, ...needs.emailVerification, signIns })
      : undefined
  const accounts = createAccountRepository(db, notices)

  return new Elysia()
    .use(signInRoutes({ ...shared, signIns, verifiedSignUp }))
    .use(accountRoutes({ ...shared, accounts }))
    .use(sessionRoutes(shared))
    .use(refreshTokenRoutes(shared))
    .use(passwordResetRoutes(shared))
    .use(emailVerificationRoutes(shared))
    .use(streamTicketRoutes({ ...shared, tickets: createStreamTicketRepository(db) }))
    .use(
      personalTokenRoutes({
        ...shared,
        personalTokens: createPersonalTokenRepository(db),
        originOf: createOrigin(config),
      }),
    )
}
