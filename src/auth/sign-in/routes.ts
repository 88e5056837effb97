import { Elysia } from 'elysia'
import type { Config } from '../../config/config.ts'
import { bearerChallenge } from '../../http/bearer.ts'
import { throwProblem } from '../../http/problem.ts'
import type { RequestContexts } from '../../http/request-context.ts'
import { toFieldErrors } from '../../http/validation-errors.ts'
import type { Log } from '../../log.ts'
import { compileSchema } from '../../schema/compile.ts'
import { normalizeEmail } from '../../schema/email.ts'
import { accessTokenResponse, type Jwt } from '../access-tokens/jwt.ts'
import type { LoginThrottle } from '../login-throttle.ts'
import type { PasswordHasher } from '../passwords/hasher.ts'
import type { SignInRepository, StartedSession } from './repository.ts'
import { createOAuthToken, login, Registration, register } from './schema.ts'

type Needs = {
  config: Pick<Config, 'registration'>
  signIns: SignInRepository
  loginThrottle: LoginThrottle
  passwords: PasswordHasher
  jwt: Jwt
  contexts: RequestContexts
  log: Log
}

type Attempt = { email: string; password: string; request: Request }

/** Sign-up, sign-in, and sign-in with the OAuth 2 password form. These routes are public. */
export const signInRoutes = (needs: Needs) => {
  const { config, signIns, loginThrottle, passwords, jwt, contexts, log } = needs

  const signInResponse = async ({ user, session }: StartedSession) => ({
    ...(await accessTokenResponse(jwt, user.id, session)),
    user,
  })

  return new Elysia({ detail: { tags: ['Sign-in'], security: [] } })
    .post(
      '/auth/register',
      async ({ body, request, set }) => {
        if (config.registration === 'closed') throwProblem('registration-closed')
        const { email, password, name = null } = await validateRegistration(body, passwords)
        const { id, address } = contexts.of(request)
        await loginThrottle.signUp(address)
        const password_hash = await passwords.hash(password)
        const draft = { email: normalizeEmail(email), name, password_hash }
        const started = (await signIns.register(draft)) ?? throwProblem('email-taken')
        log.info('signed up', { request_id: id, user_id: started.user.id })
        set.status = 201
        set.headers.location = '/api/auth/me'
        return signInResponse(started)
      },
      register,
    )

    .post(
      '/auth/login',
      async ({ body, request }) => {
        const started = await signIn(needs, { ...body, request })
        return signInResponse(
          started ?? throwProblem('invalid-credentials', { headers: bearerChallenge(false) }),
        )
      },
      login,
    )

    .post(
      '/oauth/token',
      async ({ body, request, status }) => {
        const form = parsePasswordGrant(body)
        if ('error' in form) return status(400, form)
        const started = await signIn(needs, { ...form, request })
        if (started === undefined)
          return status(400, {
            error: 'invalid_grant' as const,
            error_description: 'The e-mail or the password is wrong',
          })
        return accessTokenResponse(jwt, started.user.id, started.session)
      },
      createOAuthToken,
    )
}

const registration = compileSchema(Registration)

/** Reports all invalid members at once, a weak password too. */
const validateRegistration = async (
  body: unknown,
  passwords: PasswordHasher,
): Promise<Registration> => {
  const errors = registration.matches(body)
    ? []
    : toFieldErrors(registration.errorsOf(body), 'body')
  const { email, password } = (body ?? {}) as Record<string, unknown>
  const canJudge =
    typeof password === 'string' && errors.every(({ pointer }) => pointer !== '/password')
  const weakness = canJudge
    ? await passwords.findWeakness(password, typeof email === 'string' ? email : '')
    : undefined
  if (weakness === undefined && errors.length === 0) return body as Registration

  const code = errors.length > 0 ? 'invalid-request' : 'weak-password'
  const weak = { in: 'body' as const, pointer: '/password', detail: weakness ?? '' }
  return throwProblem(code, { errors: weakness === undefined ? errors : [...errors, weak] })
}

/** Starts a session; undefined for every kind of failure alike, after one bcrypt verification. */
const signIn = async (
  { signIns, loginThrottle, passwords, contexts, log }: Needs,
  { email, password, request }: Attempt,
): Promise<StartedSession | undefined> => {
  const { id: request_id, address } = contexts.of(request)
  const attempt = await loginThrottle.signIn(email, address)
  const account = await signIns.credentials(email)
  const isVerified = await passwords.verify(password, account?.password_hash)
  if (account?.disabled_at === null && isVerified) {
    const { id, password_hash } = account
    const newHash = passwords.needsRehash(password_hash)
      ? await passwords.hash(password)
      : undefined
    const started = await signIns.signIn(id, password_hash, newHash)
    if (started !== undefined) {
      await attempt.succeeded()
      log.info('signed in', { request_id, user_id: id })
      return started
    }
  }
  log.warn('sign-in failed', { request_id, user_id: account?.id })
  return undefined
}

/** The members of the form, or the error of RFC 6749 §5.2. A parameter must not be repeated (§3.2). */
const parsePasswordGrant = (form: URLSearchParams | undefined) => {
  const grantError = (
    error: 'invalid_request' | 'unsupported_grant_type',
    error_description: string,
  ) => ({ error, error_description }) as const
  const only = (name: string) => {
    const [value, ...more] = form?.getAll(name) ?? []
    return more.length === 0 && value !== undefined && value !== '' ? value : undefined
  }

  const grantType = only('grant_type')
  const email = only('username')
  const password = only('password')
  if (grantType === undefined) return grantError('invalid_request', 'grant_type is required, once')
  if (grantType !== 'password')
    return grantError('unsupported_grant_type', 'grant_type must be password')
  if (email === undefined || password === undefined)
    return grantError('invalid_request', 'username and password are required, once each')
  if ([email, password].some((text) => text.includes('\0')) || [...password].length > 128)
    return grantError('invalid_request', 'username or password is invalid')
  return { email, password }
}
