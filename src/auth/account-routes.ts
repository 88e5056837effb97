import { Elysia } from 'elysia'
import { invalid, refuse } from '../errors.ts'
import type { Log } from '../http/log.ts'
import { canonicalEmail } from '../shapes.ts'
import type { Account, accountOf } from './account-repository.ts'
import type { Attempts } from './attempts.ts'
import { by, type Caller } from './caller.ts'
import { alive, type SignedIn } from './guard.ts'
import * as operations from './operations.ts'
import { checkStrength, type Passwords } from './passwords.ts'

type Needs = {
  accountOf: (caller: Caller) => ReturnType<typeof accountOf>
  attempts: Attempts
  passwords: Passwords
  signedIn: SignedIn
  log: Log
}

/** One's own account. */
export const accountRoutes = ({ accountOf, attempts, passwords, signedIn, log }: Needs) => {
  /** Whoever holds a token must still know the password; a wrong one counts like a failed sign-in. */
  const confirmed = async (
    account: Account,
    caller: Caller,
    password: string,
    check: (email: string) => Promise<void> = async () => {},
  ): Promise<string> => {
    const { email, password_hash } = alive(await account.credentials())
    await check(email)
    const attempt = await attempts.confirm(email, caller.address)
    if (!(await passwords.verify(password, password_hash))) {
      log.warn('wrong current password', by(caller))
      refuse('wrong-password')
    }
    await attempt.succeeded()
    return password_hash
  }

  return new Elysia({ prefix: '/auth/me', detail: { tags: ['Account'] } })
    .use(signedIn)
    .derive(({ caller }) => ({ account: accountOf(caller) }))

    .get('', async ({ account }) => alive(await account.me()), operations.readMe)

    .patch(
      '',
      async ({ account, caller, body: { email, name, current_password } }) => {
        if (email === undefined) {
          if (current_password !== undefined)
            return invalid('/current_password', 'goes with email only')
          return alive(await account.rename(name ?? null))
        }
        if (current_password === undefined)
          return invalid('/current_password', 'is required to change the e-mail')

        const verified = await confirmed(account, caller, current_password)
        const changes = { email: canonicalEmail(email), ...(name !== undefined && { name }) }
        const moved = alive(await account.move(changes, verified))
        if (moved === 'taken') return refuse('email-taken')
        log.info('e-mail changed', by(caller))
        return moved
      },
      operations.changeMe,
    )

    .put(
      '/password',
      async ({ account, caller, body: { current_password, new_password }, set }) => {
        const verified = await confirmed(account, caller, current_password, (email) =>
          checkStrength(passwords, new_password, email, '/new_password'),
        )
        const replaced = await passwords.hash(new_password)
        alive((await account.changePassword(verified, replaced)) || undefined)
        log.info('password changed', by(caller))
        set.status = 204
      },
      operations.changePassword,
    )

    .delete(
      '',
      async ({ account, caller, body, set }) => {
        const verified = await confirmed(account, caller, body.current_password)
        alive((await account.erase(verified)) || undefined)
        log.info('account deleted', by(caller))
        set.status = 204
      },
      operations.deleteMe,
    )
}
