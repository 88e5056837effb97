import { Elysia } from 'elysia'
import type { Log } from '../../log.ts'
import { bearerChallenge, throwProblem } from '../../http/problem.ts'
import type { RequestContexts } from '../../http/request-context.ts'
import { normalizeEmail } from '../../schema/types.ts'
import { type AccessTokens, accessTokenResponse } from '../access-tokens/jwt.ts'
import type { LoginThrottle } from '../login-throttle.ts'
import * as operations from '../operations.ts'
import { type PasswordHasher, requireStrongPassword } from '../passwords/hasher.ts'
import type { SignInRepository, StartedSession } from './repository.ts'

type Needs = {
  registration: 'open' | 'closed'
  accounts: SignInRepository
  loginThrottle: LoginThrottle
  passwords: PasswordHasher
  tokens: AccessTokens
  contexts: RequestContexts
  log: Log
}

type Attempt = { email: string; password: string; request: Request }

/** Where strangers become users: sign-up, sign-in, and the same by the OAuth 2 password form. */
export const signInRoutes = (needs: Needs) => {
  const { registration, accounts, loginThrottle, passwords, tokens, contexts, log } = needs

  const signInResponse = async (startedSession: StartedSession) => ({
    ...(await accessTokenResponse(tokens, startedSession.user.id, startedSession.session)),
    user: startedSession.user,
  })

  return new Elysia({ detail: { tags: ['Sign-in'], security: [] } })
    .post(
      '/auth/register',
      async ({ body: { email, password, name = null }, request, set }) => {
        if (registration === 'closed') throwProblem('registration-closed')
        await requireStrongPassword(passwords, password, email, '/password')
        const { id, address } = contexts.of(request)
        await loginThrottle.signUp(address)
        const password_hash = await passwords.hash(password)
        const draft = { email: normalizeEmail(email), name, password_hash }
        const startedSession = (await accounts.register(draft)) ?? throwProblem('email-taken')
        log.info('signed up', { request_id: id, user_id: startedSession.user.id })
        set.status = 201
        set.headers.location = '/api/auth/me'
        return signInResponse(startedSession)
      },
      operations.register,
    )

    .post(
      '/auth/login',
      async ({ body, request }) => {
        const startedSession = await signIn(needs, { ...body, request })
        return signInResponse(
          startedSession ??
            throwProblem('invalid-credentials', { headers: bearerChallenge(false) }),
        )
      },
      operations.login,
    )

    .post(
      '/oauth/token',
      async ({ body, request, status }) => {
        const form = passwordGrant(body)
        if ('error' in form) return status(400, form)
        const startedSession = await signIn(needs, { ...form, request })
        if (startedSession === undefined)
          return status(400, {
            error: 'invalid_grant' as const,
            error_description: 'The e-mail or the password is wrong',
          })
        return accessTokenResponse(tokens, startedSession.user.id, startedSession.session)
      },
      operations.oauthToken,
    )
}

/** A session for whoever knows the password; nothing for all others alike, after one bcrypt verification. */
const signIn = async (
  { accounts, loginThrottle, passwords, contexts, log }: Needs,
  { email, password, request }: Attempt,
): Promise<StartedSession | undefined> => {
  const { id: request_id, address } = contexts.of(request)
  const attempt = await loginThrottle.signIn(email, address)
  const known = await accounts.credentials(normalizeEmail(email))
  const right = await passwords.verify(password, known?.password_hash)
  if (known === undefined || known.disabled_at !== null || !right) {
    log.warn('sign-in failed', { request_id, user_id: known?.id })
    return undefined
  }

  const { id, password_hash } = known
  const rehashed = passwords.needsRehash(password_hash) ? await passwords.hash(password) : undefined
  const startedSession = await accounts.signIn(id, password_hash, rehashed)
  if (startedSession === undefined) return undefined
  await attempt.succeeded()
  log.info('signed in', { request_id, user_id: id })
  return startedSession
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
