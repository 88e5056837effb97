import { Elysia } from 'elysia'
import type { Config } from '../../config/config.ts'
import { isUnknownTimeZone } from '../../db/errors.ts'
import { type Authenticated, requireSession } from '../../http/authenticated.ts'
import { auditFields, type RequestPrincipal } from '../../http/principal.ts'
import { throwInvalidRequest, throwProblem } from '../../http/problem.ts'
import type { Log } from '../../log.ts'
import { toTimeZone } from '../../schema/calendar.ts'
import { normalizeEmail } from '../../schema/email.ts'
import type { LinkLimit } from '../link-limit.ts'
import type { LoginThrottle } from '../login-throttle.ts'
import { type PasswordHasher, requireStrongPassword } from '../passwords/hasher.ts'
import type { AccountRepository, Profile } from './repository.ts'
import { changePassword, deleteCurrentUser, getCurrentUser, updateCurrentUser } from './schema.ts'

type Needs = {
  config: Pick<Config, 'mail'>
  isOverLinkLimit: LinkLimit
  accounts: AccountRepository
  loginThrottle: LoginThrottle
  passwords: PasswordHasher
  authenticated: Authenticated
  log: Log
}

/** The account of the current user. */
export const accountRoutes = (needs: Needs) => {
  const { accounts, passwords, authenticated, log } = needs

  return new Elysia({ prefix: '/auth/me', detail: { tags: ['Account'] } })
    .use(authenticated)
    .derive(({ principal }) => ({ account: accounts(principal) }))

    .get('', async ({ account }) => requireSession(await account.me()), getCurrentUser)

    .patch(
      '',
      async ({ account, principal, body: { email, current_password, ...profile } }) => {
        const changes = toProfile(profile)
        if (email === undefined) {
          if (current_password !== undefined)
            return throwInvalidRequest('/current_password', 'is accepted together with email only')
          const isEmpty = Object.keys(changes).length === 0
          return requireSession(
            await (isEmpty ? account.me() : refuseUnknownTimeZone(() => account.change(changes))),
          )
        }
        if (current_password === undefined)
          return throwInvalidRequest('/current_password', 'is required to change the e-mail')

        const verifiedHash = await verifyCurrentPassword(needs, principal, current_password)
        const withEmail = { ...changes, email: normalizeEmail(email) }
        if (isConfirmedByLink(needs.config)) {
          const isOverLimit = await needs.isOverLinkLimit(withEmail.email)
          const user = await refuseUnknownTimeZone(() =>
            account.requestEmail(withEmail, verifiedHash, isOverLimit),
          )
          log.info('e-mail change requested', auditFields(principal))
          return requireSession(user)
        }
        const change = () => account.changeEmail(withEmail, verifiedHash)
        const changed = requireSession(await refuseUnknownTimeZone(change))
        if (changed === 'taken') return throwProblem('email-taken')
        log.info('e-mail changed', auditFields(principal))
        return changed
      },
      updateCurrentUser,
    )

    .put(
      '/password',
      async ({ account, principal, body: { current_password, new_password }, set }) => {
        const verifiedHash = await verifyCurrentPassword(
          needs,
          principal,
          current_password,
          (email) => requireStrongPassword(passwords, new_password, email, '/new_password'),
        )
        const newHash = await passwords.hash(new_password)
        requireSession((await account.changePassword(verifiedHash, newHash)) || undefined)
        log.info('password changed', auditFields(principal))
        set.status = 204
      },
      changePassword,
    )

    .delete(
      '',
      async ({ account, principal, body, set }) => {
        const verifiedHash = await verifyCurrentPassword(needs, principal, body.current_password)
        requireSession((await account.erase(verifiedHash)) || undefined)
        log.info('account deleted', auditFields(principal))
        set.status = 204
      },
      deleteCurrentUser,
    )
}

/** 422 if the database does not know a time zone that this process knows. Otherwise, every list of today would fail. */
const refuseUnknownTimeZone = async <T>(run: () => Promise<T>): Promise<T> => {
  try {
    return await run()
  } catch (error) {
    if (!isUnknownTimeZone(error)) throw error
    return throwInvalidRequest('/time_zone', 'is not known to the database of this service')
  }
}

/** The members that were sent, with the time zone in the spelling of the IANA database. */
const toProfile = ({ time_zone, ...others }: Profile) => ({
  ...others,
  ...(time_zone !== undefined && { time_zone: toTimeZone(time_zone) ?? time_zone }),
})

/** With verified e-mails, a taken address must not be reported in a response either. */
const isConfirmedByLink = ({ mail }: Needs['config']): boolean =>
  mail !== undefined && (mail.transport.kind === 'smtp' || mail.isVerificationRequired)

/**
 * Returns the verified hash; 403 for a wrong password, which counts as a failed sign-in. `check` runs before the
 * password is verified.
 */
const verifyCurrentPassword = async (
  { accounts, loginThrottle, passwords, log }: Needs,
  principal: RequestPrincipal,
  password: string,
  check: (email: string) => Promise<void> = async () => {},
): Promise<string> => {
  const { email, password_hash } = requireSession(await accounts(principal).credentials())
  await check(email)
  const attempt = await loginThrottle.confirm(email, principal.address)
  if (!(await passwords.verify(password, password_hash))) {
    log.warn('wrong current password', auditFields(principal))
    throwProblem('wrong-password')
  }
  await attempt.succeeded()
  return password_hash
}
