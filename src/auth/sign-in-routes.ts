import { Elysia } from 'elysia'
import { challenge, refuse } from '../errors.ts'
import type { Log } from '../http/log.ts'
import type { Visits } from '../http/visits.ts'
import { canonicalEmail } from '../shapes.ts'
import type { Attempts } from './attempts.ts'
import * as operations from './operations.ts'
import { checkStrength, type Passwords } from './passwords.ts'
import type { Accounts, Started } from './sign-in-repository.ts'
import { type Tokens, tokenAnswer } from './tokens.ts'

type Needs = {
  registration: 'open' | 'closed'
  accounts: Accounts
  attempts: Attempts
  passwords: Passwords
  tokens: Tokens
  visits: Visits
  log: Log
}

type Attempt = { email: string; password: string; request: Request }

/** Where strangers become users: sign-up, sign-in, and the same by the OAuth 2 password form. */
export const signInRoutes = (needs: Needs) => {
  const { registration, accounts, attempts, passwords, tokens, visits, log } = needs

  const welcome = async (started: Started) => ({
    ...(await tokenAnswer(tokens, started.user.id, started.session)),
    user: started.user,
  })

  return new Elysia({ detail: { tags: ['Sign-in'], security: [] } })
    .post(
      '/auth/register',
      async ({ body: { email, password, name = null }, request, set }) => {
        if (registration === 'closed') refuse('registration-closed')
        await checkStrength(passwords, password, email, '/password')
        const { id, address } = visits.of(request)
        await attempts.signUp(address)
        const password_hash = await passwords.hash(password)
        const draft = { email: canonicalEmail(email), name, password_hash }
        const started = (await accounts.register(draft)) ?? refuse('email-taken')
        log.info('signed up', { request_id: id, user_id: started.user.id })
        set.status = 201
        set.headers.location = '/api/auth/me'
        return welcome(started)
      },
      operations.register,
    )

    .post(
      '/auth/login',
      async ({ body, request }) => {
        const started = await signIn(needs, { ...body, request })
        return welcome(started ?? refuse('invalid-credentials', { headers: challenge(false) }))
      },
      operations.login,
    )

    .post(
      '/oauth/token',
      async ({ body, request, status }) => {
        const form = passwordGrant(body)
        if ('error' in form) return status(400, form)
        const started = await signIn(needs, { ...form, request })
        if (started === undefined)
          return status(400, {
            error: 'invalid_grant' as const,
            error_description: 'The e-mail or the password is wrong',
          })
        return tokenAnswer(tokens, started.user.id, started.session)
      },
      operations.oauthToken,
    )
}

/** A session for whoever knows the password; nothing for all others alike, after one bcrypt verification. */
const signIn = async (
  { accounts, attempts, passwords, visits, log }: Needs,
  { email, password, request }: Attempt,
): Promise<Started | undefined> => {
  const { id: request_id, address } = visits.of(request)
  const attempt = await attempts.signIn(email, address)
  const known = await accounts.credentials(canonicalEmail(email))
  const right = await passwords.verify(password, known?.password_hash)
  if (known === undefined || known.disabled_at !== null || !right) {
    log.warn('sign-in failed', { request_id, user_id: known?.id })
    return undefined
  }

  const { id, password_hash } = known
  const rehashed = passwords.outdated(password_hash) ? await passwords.hash(password) : undefined
  const started = await accounts.signIn(id, password_hash, rehashed)
  if (started === undefined) return undefined
  await attempt.succeeded()
  log.info('signed in', { request_id, user_id: id })
  return started
}

/** The form's members, or the error of RFC 6749 §5.2; a parameter must not be repeated (§3.2). */
const passwordGrant = (form: URLSearchParams | undefined) => {
  const wrong = (error: 'invalid_request' | 'unsupported_grant_type', error_description: string) =>
    ({ error, error_description }) as const
  const one = (name: string) => {
    const [value, ...more] = form?.getAll(name) ?? []
    return more.length === 0 && value !== undefined && value !== '' ? value : undefined
  }

  const grant = one('grant_type')
  const email = one('username')
  const password = one('password')
  if (grant === undefined) return wrong('invalid_request', 'grant_type is required, once')
  if (grant !== 'password') return wrong('unsupported_grant_type', 'grant_type must be password')
  if (email === undefined || password === undefined)
    return wrong('invalid_request', 'username and password are required, once each')
  if ([email, password].some((text) => text.includes('\0')) || [...password].length > 128)
    return wrong('invalid_request', 'username or password cannot be what it is')
  return { email, password }
}
