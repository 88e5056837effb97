import { Elysia, ValidationError } from 'elysia'
import { IssuerUnavailable } from '../auth/issuers/key-set.ts'
import { DatabaseUnavailable } from '../db/faults.ts'
import { RateLimitStoreUnavailable } from '../rate-limit/store.ts'
import { type Log, recordDuration } from './access-log.ts'
import type { Principal } from './principal.ts'
import { bearerChallenge, ProblemError } from './problem.ts'
import { problemCatalogue } from './problem-catalogue.ts'
import type { RateLimit } from './rate-limit.ts'
import type { RequestContext, RequestContexts } from './request-context.ts'
import { OptionsResponse } from './route-guard.ts'
import { fieldErrorsOf } from './validation-errors.ts'

type Needs = {
  contexts: RequestContexts
  log: Log
  limit: RateLimit
  /** Whether the caller's session still lives: one statement, for what was refused before any was sent. */
  isLive: (principal: Principal) => Promise<boolean>
}

/**
 * The only place where an error becomes a response.
 *
 * What was refused before a handler ran is counted here, and its session checked
 * here: so every answer counts once, and a dead session is 401 whatever the body.
 */
export const createErrorHandler = ({ contexts, log, limit, isLive }: Needs) => {
  /** Whether a statement would find the session ended. What is answered whoever asks does not hang on it. */
  const hasEnded = async (principal: Principal, code: string): Promise<boolean> => {
    if (!beforeSession.has(code)) return false
    try {
      return !(await isLive(principal))
    } catch (error) {
      if (beforeToken.has(code)) return false
      throw error
    }
  }

  /** Counts the answer, once and against whom it is due, and gives what is answered in the end. */
  const settled = async (
    problem: ProblemError | undefined,
    requestContext: RequestContext,
    set: Set,
  ) => {
    const code = problem?.problem ?? 'options'
    if (code === 'unauthenticated') await limit.decrement(requestContext)
    Object.assign(set.headers, await limit.count(requestContext))
    if (requestContext.principal === undefined || !(await hasEnded(requestContext.principal, code)))
      return problem
    await limit.decrement(requestContext)
    Object.assign(set.headers, await limit.count(requestContext))
    return beforeToken.has(code)
      ? problem
      : new ProblemError('unauthenticated', { headers: bearerChallenge(true) })
  }

  return new Elysia({ name: 'problems' }).onError({ as: 'global' }, async (context) => {
    const { request, set } = context
    const requestContext = contexts.of(request)
    let error: unknown = context.error
    if (error instanceof OptionsResponse) {
      set.status = 204
      set.headers.allow = error.allow
    }

    let problem = toProblem(error)
    try {
      problem = await settled(problem, requestContext, set)
    } catch (worse) {
      error = worse
      problem = toProblem(worse)
    }
    if (error instanceof DatabaseUnavailable) requestContext.databaseErrorCode = error.code
    recordDuration(requestContext)
    if (problem === undefined) return ''
    if (problem.problem === 'internal')
      log.error('request failed', { request_id: requestContext.id, error })
    // Without its stack: an outage is no bug, and every request of it is one.
    if (isUnavailable(error)) {
      const code = 'code' in error ? error.code : undefined
      log.warn('unavailable', { request_id: requestContext.id, error: { name: error.name, code } })
    }
    return answer(problem, requestContext.id, set)
  })
}

/** What is answered whoever asks; but the user is not to pay for what a dead session of theirs asks. */
const beforeToken = new Set<string>([
  'not-found',
  'method-not-allowed',
  'body-too-large',
  'options',
])
/** What a request can be answered with before a statement has seen its session. */
const beforeSession = new Set<string>([
  ...beforeToken,
  'insufficient-scope',
  'malformed-request',
  'unsupported-media-type',
  'invalid-request',
  'weak-password',
])

type Set = { status?: number | string; headers: Record<string, string | number> }

const answer = ({ problem: code, errors, headers }: ProblemError, requestId: string, set: Set) => {
  const { status, title } = problemCatalogue[code]
  set.status = status
  Object.assign(set.headers, headers, { 'content-type': 'application/problem+json' })
  return JSON.stringify({
    type: `/problems/${code}`,
    title,
    status,
    code,
    request_id: requestId,
    errors,
  })
}

const isUnavailable = (error: unknown) =>
  error instanceof DatabaseUnavailable ||
  error instanceof RateLimitStoreUnavailable ||
  error instanceof IssuerUnavailable

const toProblem = (error: unknown): ProblemError | undefined => {
  if (error instanceof OptionsResponse) return undefined
  if (error instanceof ProblemError) return error
  // Elysia wraps what a parser throws.
  if (error instanceof Error && error.cause instanceof ProblemError) return error.cause
  if (isUnavailable(error))
    return new ProblemError('unavailable', { headers: { 'retry-after': '1' } })
  if (error instanceof ValidationError && error.type !== 'response')
    return new ProblemError('invalid-request', { errors: fieldErrorsOf(error) })
  return new ProblemError('internal')
}
