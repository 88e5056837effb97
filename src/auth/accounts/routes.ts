import { Elysia } from 'elysia'
import type { Log } from '../../log.ts'
import { type Authenticated, requireSession } from '../../http/authenticated.ts'
import { auditFields, type RequestPrincipal } from '../../http/principal.ts'
import { throwInvalidRequest, throwProblem } from '../../http/problem.ts'
import { normalizeEmail } from '../../schema/types.ts'
import type { LoginThrottle } from '../login-throttle.ts'
import * as operations from '../operations.ts'
import { type PasswordHasher, requireStrongPassword } from '../passwords/hasher.ts'
import type { AccountRepository, createAccountRepository } from './repository.ts'

type Needs = {
  createAccountRepository: (
    principal: RequestPrincipal,
  ) => ReturnType<typeof createAccountRepository>
  loginThrottle: LoginThrottle
  passwords: PasswordHasher
  authenticated: Authenticated
  log: Log
}

/** One's own account. */
export const accountRoutes = ({
  createAccountRepository,
  loginThrottle,
  passwords,
  authenticated,
  log,
}: Needs) => {
  /** Whoever holds a token must still know the password; a wrong one counts like a failed sign-in. */
  const confirmed = async (
    account: AccountRepository,
    principal: RequestPrincipal,
    password: string,
    check: (email: string) => Promise<void> = async () => {},
  ): Promise<string> => {
    const { email, password_hash } = requireSession(await account.credentials())
    await check(email)
    const attempt = await loginThrottle.confirm(email, principal.address)
    if (!(await passwords.verify(password, password_hash))) {
      log.warn('wrong current password', auditFields(principal))
      throwProblem('wrong-password')
    }
    await attempt.succeeded()
    return password_hash
  }

  return new Elysia({ prefix: '/auth/me', detail: { tags: ['Account'] } })
    .use(authenticated)
    .derive(({ principal }) => ({ account: createAccountRepository(principal) }))

    .get('', async ({ account }) => requireSession(await account.me()), operations.readMe)

    .patch(
      '',
      async ({ account, principal, body: { email, name, current_password } }) => {
        if (email === undefined) {
          if (current_password !== undefined)
            return throwInvalidRequest('/current_password', 'goes with email only')
          return requireSession(await account.rename(name ?? null))
        }
        if (current_password === undefined)
          return throwInvalidRequest('/current_password', 'is required to change the e-mail')

        const verified = await confirmed(account, principal, current_password)
        const changes = { email: normalizeEmail(email), ...(name !== undefined && { name }) }
        const moved = requireSession(await account.move(changes, verified))
        if (moved === 'taken') return throwProblem('email-taken')
        log.info('e-mail changed', auditFields(principal))
        return moved
      },
      operations.changeMe,
    )

    .put(
      '/password',
      async ({ account, principal, body: { current_password, new_password }, set }) => {
        const verified = await confirmed(account, principal, current_password, (email) =>
          requireStrongPassword(passwords, new_password, email, '/new_password'),
        )
        const replaced = await passwords.hash(new_password)
        requireSession((await account.changePassword(verified, replaced)) || undefined)
        log.info('password changed', auditFields(principal))
        set.status = 204
      },
      operations.changePassword,
    )

    .delete(
      '',
      async ({ account, principal, body, set }) => {
        const verified = await confirmed(account, principal, body.current_password)
        requireSession((await account.erase(verified)) || undefined)
        log.info('account deleted', auditFields(principal))
        set.status = 204
      },
      operations.deleteMe,
    )
}
