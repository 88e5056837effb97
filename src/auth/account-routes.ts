import { Elysia } from 'elysia'
import { invalid, refusals, refuse } from '../errors.ts'
import type { Log } from '../http/log.ts'
import { canonicalEmail, NoContent } from '../shapes.ts'
import type { Account, accountOf } from './account-repository.ts'
import type { Attempts } from './attempts.ts'
import type { Caller } from './caller.ts'
import { alive, type SignedIn } from './guard.ts'
import { Confirmation, PasswordChange, ProfileChanges, User } from './model.ts'
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
    check: (email: string) => void = () => {},
  ): Promise<string> => {
    const { email, password_hash } = alive(await account.credentials())
    check(email)
    const attempt = await attempts.confirm(email, caller.address)
    if (!(await passwords.verify(password, password_hash))) {
      log.warn('wrong current password', { user_id: caller.userId })
      refuse('wrong-password')
    }
    await attempt.succeeded()
    return password_hash
  }

  return new Elysia({ prefix: '/auth/me', detail: { tags: ['Account'] } })
    .use(signedIn)
    .derive(({ caller }) => ({ account: accountOf(caller) }))

    .get('', async ({ account }) => alive(await account.me()), {
      response: { 200: User },
      detail: { operationId: 'readMe', summary: 'Who I am' },
    })

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
        return moved === 'taken' ? refuse('email-taken') : moved
      },
      {
        body: ProfileChanges,
        response: {
          200: User,
          ...refusals('wrong-password', 'email-taken', 'invalid-request', 'too-many-attempts'),
        },
        detail: {
          operationId: 'changeMe',
          summary: 'Change my name or e-mail',
          description: 'A new e-mail takes `current_password` too.',
        },
      },
    )

    .put(
      '/password',
      async ({ account, caller, body: { current_password, new_password }, set }) => {
        const verified = await confirmed(account, caller, current_password, (email) =>
          checkStrength(passwords, new_password, email, '/new_password'),
        )
        const replaced = await passwords.hash(new_password)
        alive((await account.changePassword(verified, replaced)) || undefined)
        log.info('password changed', { user_id: caller.userId })
        set.status = 204
      },
      {
        body: PasswordChange,
        response: {
          204: NoContent,
          ...refusals('wrong-password', 'weak-password', 'too-many-attempts'),
        },
        detail: {
          operationId: 'changePassword',
          summary: 'Change my password',
          description: 'Every other session ends.',
          'x-budget': 'endings',
        },
      },
    )

    .delete(
      '',
      async ({ account, caller, body, set }) => {
        const verified = await confirmed(account, caller, body.current_password)
        alive((await account.erase(verified)) || undefined)
        log.info('account deleted', { user_id: caller.userId })
        set.status = 204
      },
      {
        body: Confirmation,
        response: {
          204: NoContent,
          ...refusals('wrong-password', 'invalid-request', 'too-many-attempts'),
        },
        detail: {
          operationId: 'deleteMe',
          summary: 'Erase my account, its sessions and its tasks',
        },
      },
    )
}
