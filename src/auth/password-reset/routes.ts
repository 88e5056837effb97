import { Elysia } from 'elysia'
import type { Config } from '../../config/config.ts'
import { throwProblem } from '../../http/problem.ts'
import type { RequestContexts } from '../../http/request-context.ts'
import { normalizeEmail } from '../../schema/email.ts'
import type { LinkLimit } from '../link-limit.ts'
import type { LoginThrottle } from '../login-throttle.ts'
import type { PasswordReset } from './password-reset.ts'
import { forgotPassword, resetPassword } from './schema.ts'

type Needs = {
  config: Pick<Config, 'mail'>
  passwordReset: PasswordReset
  loginThrottle: LoginThrottle
  isOverLinkLimit: LinkLimit
  contexts: RequestContexts
}

/** A forgotten password. These routes are public. */
export const passwordResetRoutes = (needs: Needs) => {
  const { config, passwordReset, loginThrottle, isOverLinkLimit, contexts } = needs

  return new Elysia({ prefix: '/auth/password', detail: { tags: ['Sign-in'], security: [] } })
    .post(
      '/forgot',
      async ({ body, request, set }) => {
        if (config.mail === undefined) throwProblem('mail-disabled')
        await loginThrottle.signUp(contexts.of(request).address)
        const email = normalizeEmail(body.email)
        // The sender is not woken: for an account it would slow down the next request.
        await passwordReset.request(email, await isOverLinkLimit(email))
        set.status = 202
        return {}
      },
      forgotPassword,
    )
    .post(
      '/reset',
      async ({ body: { token, new_password }, request, set }) => {
        await passwordReset.reset(token, new_password, request)
        set.status = 204
      },
      resetPassword,
    )
}
