import { Elysia } from 'elysia'
import type { Config } from '../../config/config.ts'
import { type Authenticated, requireSession } from '../../http/authenticated.ts'
import { throwProblem } from '../../http/problem.ts'
import type { LinkLimit } from '../link-limit.ts'
import { sendVerification, verifyEmail } from './schema.ts'
import type { EmailVerification } from './verification.ts'

type Needs = {
  config: Pick<Config, 'mail'>
  emailVerification: EmailVerification
  isOverLinkLimit: LinkLimit
  authenticated: Authenticated
}

/** Links that prove an address. */
export const emailVerificationRoutes = (needs: Needs) => {
  const { config, emailVerification, isOverLinkLimit, authenticated } = needs

  return new Elysia({ prefix: '/auth/email', detail: { tags: ['Account'] } })
    .post(
      '/verify',
      async ({ body: { token }, request, set }) => {
        await emailVerification.verify(token, request)
        set.status = 204
      },
      verifyEmail,
    )
    .use(authenticated)
    .post(
      '/verification',
      async ({ principal, set }) => {
        const { verifications } = emailVerification
        const { email, pending_email } = requireSession(await verifications.unverified(principal))
        if (config.mail === undefined) throwProblem('mail-disabled')
        const address = pending_email ?? email
        const template = pending_email === null ? 'verify-email' : 'verify-new-email'
        if (address !== null && !(await isOverLinkLimit(address)))
          await verifications.send(principal.userId, template, address)
        set.status = 202
        return {}
      },
      sendVerification,
    )
}
