import { Elysia } from 'elysia'
import type { Config } from '../../config/config.ts'
import { bearerChallenge } from '../../http/bearer.ts'
import { ProblemError, throwProblem } from '../../http/problem.ts'
import type { RequestContexts } from '../../http/request-context.ts'
import { toFieldErrors } from '../../http/validation-errors.ts'
import type { Log } from '../../log.ts'
import { compileSchema } from '../../schema/compile.ts'
import { normalizeEmail } from '../../schema/email.ts'
import type { LoginThrottle } from '../login-throttle.ts'
import type { PasswordHasher } from '../passwords/hasher.ts'
import type { RefreshCookie } from '../refresh-tokens/cookie.ts'
import type { Redeem } from '../refresh-tokens/redeem.ts'
import type { RefreshTokens } from '../refresh-tokens/token.ts'
import type { TokenResponse } from '../refresh-tokens/token-response.ts'
import { grantError, parseGrant } from './grant.ts'
import type { SignInRepository, StartedSession } from './repository.ts'
import { createOAuthToken, login, Registration, register } from './schema.ts'
import type { VerifiedSignUp } from './verified-sign-up.ts'

type Needs = {
  config: Pick<Config, 'registration'>
  /** Undefined unless EMAIL_VERIFICATION=required. */
  verifiedSignUp: VerifiedSignUp | undefined
  signIns: SignInRepository
  loginThrottle: LoginThrottle
  passwords: PasswordHasher
  refreshTokens: RefreshTokens
  refreshCookie: RefreshCookie
  redeem: Redeem
  tokenResponse: TokenResponse
  contexts: RequestContexts
  log: Log
}

type Exchange = {
  query: { session?: 'cookie' }
  request: Request
  set: { headers: Record<string, string | number> }
}
type Attempt = { email: string; password: string; request: Request }

/** Sign-up, sign-in, and sign-in with the OAuth 2 password form. These routes are public. */
export const signInRoutes = (needs: Needs) => {
  const { config, signIns, loginThrottle, passwords, contexts, log } = needs
  const { refreshTokens, refreshCookie, redeem, tokenResponse } = needs

  const tokensOf = ({ user, session }: StartedSession) =>
    tokenResponse({ ...session, userId: user.id, generation: 0 })

  const signInResponse = async (started: StartedSession, { query, request, set }: Exchange) => {
    const tokens = await tokensOf(started)
    const delivered =
      query.session === 'cookie' ? refreshCookie.deliver(tokens, { request, set }) : tokens
    return { ...delivered, user: started.user }
  }

  return new Elysia({ detail: { tags: ['Sign-in'], security: [] } })
    .post(
      '/auth/register',
      async ({ body, query, request, set }) => {
        if (config.registration === 'closed') throwProblem('registration-closed')
        const valid = await validateRegistration(body, passwords)
        const { email, password, name = null } = valid
        const { id, address } = contexts.of(request)
        await loginThrottle.signUp(address)
        if (needs.verifiedSignUp) {
          await needs.verifiedSignUp.signUp(valid)
          set.status = 202
          return {}
        }
        const password_hash = await passwords.hash(password)
        const draft = { email: normalizeEmail(email), name, password_hash }
        const started =
          (await signIns.register(draft, userAgentOf(request))) ?? throwProblem('email-taken')
        log.info('signed up', { request_id: id, user_id: started.user.id })
        set.status = 201
        set.headers.location = '/api/auth/me'
        return signInResponse(started, { query, request, set })
      },
      register,
    )

    .post(
      '/auth/login',
      async ({ body, query, request, set }) => {
        const started =
          (await signIn(needs, { ...body, request })) ??
          throwProblem('invalid-credentials', { headers: bearerChallenge(false) })
        return signInResponse(started, { query, request, set })
      },
      login,
    )

    .post(
      '/oauth/token',
      async ({ body, request, status }) => {
        const grant = parseGrant(body)
        if ('error' in grant) return status(400, grant)
        if ('refreshToken' in grant) {
          const claims = refreshTokens.verify(grant.refreshToken)
          const refreshed = claims && (await redeem(claims, contexts.of(request)))
          if (refreshed === undefined)
            return status(400, grantError('invalid_grant', 'The refresh token is not valid'))
          return tokenResponse(refreshed)
        }
        const started = await signIn(needs, { ...grant, request }).catch(ignoreUnverified)
        if (started === undefined)
          return status(
            400,
            grantError(
              'invalid_grant',
              'The e-mail or the password is wrong, or the e-mail is not verified',
            ),
          )
        return tokensOf(started)
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
  { signIns, verifiedSignUp, loginThrottle, passwords, contexts, log }: Needs,
  { email, password, request }: Attempt,
): Promise<StartedSession | undefined> => {
  const { id: request_id, address } = contexts.of(request)
  const attempt = await loginThrottle.signIn(email, address)
  const account = await signIns.credentials(email)
  const isVerified = await passwords.verify(password, account?.password_hash)
  if (account?.disabled_at === null && isVerified) {
    const { user, password_hash } = account
    const newHash = passwords.needsRehash(password_hash)
      ? await passwords.hash(password)
      : password_hash
    const verified = { user, verifiedHash: password_hash, newHash }
    if (verifiedSignUp && account.is_verification_due) {
      await attempt.succeeded()
      await verifiedSignUp.sendAgain(user)
      return throwProblem('email-unverified')
    }
    const started = await signIns.signIn(verified, userAgentOf(request))
    if (started !== undefined) {
      await attempt.succeeded()
      log.info('signed in', { request_id, user_id: user.id })
      return started
    }
  }
  log.warn('sign-in failed', { request_id, user_id: account?.user.id })
  return undefined
}

const userAgentLengthMax = 200

/** In code points, so that no character is cut in two. */
const userAgentOf = ({ headers }: Request): string | null =>
  [...(headers.get('user-agent') ?? '').toWellFormed()].slice(0, userAgentLengthMax).join('') ||
  null

/** The form has no error for it. */
const ignoreUnverified = (error: unknown): undefined => {
  if (error instanceof ProblemError && error.problemCode === 'email-unverified') return undefined
  throw error
}
