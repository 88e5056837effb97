import { Elysia, ValidationError } from 'elysia'
import { DatabaseUnavailable } from '../db/errors.ts'
import type { Principal } from '../db/user-scope.ts'
import type { Log } from '../log.ts'
import { Unavailable } from '../unavailable.ts'
import { recordDuration } from './access-log.ts'
import { bearerChallenge } from './bearer.ts'
import { ProblemError } from './problem.ts'
import { problemCatalogue } from './problem-catalogue.ts'
import type { RateLimit } from './rate-limit.ts'
import type { RequestContext, RequestContexts } from './request-context.ts'
import { OptionsResponse } from './route-guard.ts'
import { fieldErrorsOf } from './validation-errors.ts'

type Needs = {
  contexts: RequestContexts
  log: Log
  limit: RateLimit
  /** Checks the session by a statement of its own, for requests that were refused before any statement. */
  isSessionLive: (principal: Principal) => Promise<boolean>
}

/**
 * The only place where an error becomes a response (RFC 9457).
 *
 * A request that was refused before its handler ran is counted here, and its session is checked here. So every
 * response counts once, and an ended session is 401 on every route with every body.
 */
export const createErrorHandler = ({ contexts, log, limit, isSessionLive }: Needs) => {
  const hasSessionEnded = async (principal: Principal, code: string): Promise<boolean> => {
    if (!isBeforeSessionCheck.has(code)) return false
    try {
      return !(await isSessionLive(principal))
    } catch (error) {
      if (isBeforeTokenCheck.has(code)) return false
      throw error
    }
  }

  /** Counts the response once, for user or address, and returns the problem to respond with. */
  const countOnce = async (
    problem: ProblemError | undefined,
    requestContext: RequestContext,
    set: Set,
  ): Promise<ProblemError | undefined> => {
    const code = problem?.problemCode ?? 'options'
    if (code === 'unauthenticated') await limit.decrement(requestContext)
    Object.assign(set.headers, await limit.count(requestContext))
    const { principal } = requestContext
    if (principal === undefined || !(await hasSessionEnded(principal, code))) return problem
    await limit.decrement(requestContext)
    Object.assign(set.headers, await limit.count(requestContext))
    return isBeforeTokenCheck.has(code)
      ? problem
      : new ProblemError('unauthenticated', { headers: bearerChallenge(true) })
  }

  return new Elysia({ name: 'error-handler' }).onError({ as: 'global' }, async (context) => {
    const { request, set } = context
    const requestContext = contexts.of(request)
    let error: unknown = context.error
    if (error instanceof OptionsResponse) {
      set.status = 204
      set.headers.allow = error.allow
    }

    let problem = hideFromUnauthenticated(toProblem(error), requestContext)
    try {
      problem = await countOnce(problem, requestContext, set)
    } catch (laterError) {
      error = laterError
      problem = toProblem(laterError)
    }
    if (error instanceof DatabaseUnavailable) requestContext.databaseErrorCode = error.code
    recordDuration(requestContext)
    if (problem === undefined) return ''
    logFailure(log, requestContext.id, problem, error)
    return respond(problem, requestContext.id, set)
  })
}

/** Decided before the token: the response is the same for an ended session, which only moves the count. */
const isBeforeTokenCheck = new Set<string>([
  'not-found',
  'method-not-allowed',
  'body-too-large',
  'options',
])
/** A request can get these before a statement has checked its session. */
const isBeforeSessionCheck = new Set<string>([
  ...isBeforeTokenCheck,
  'insufficient-scope',
  'malformed-request',
  'unsupported-media-type',
  'invalid-request',
  'weak-password',
])

/**
 * A request whose body may contain a refresh token passes the route guard without an access token. Without a valid one,
 * it learns nothing about its body either.
 */
const hideFromUnauthenticated = (problem: ProblemError | undefined, context: RequestContext) =>
  problem !== undefined &&
  isAfterTokenCheck.has(problem.problemCode) &&
  !context.isPublic &&
  context.principal === undefined
    ? new ProblemError('unauthenticated', { headers: bearerChallenge(context.tokenSent) })
    : problem

const isAfterTokenCheck = new Set<string>([
  'malformed-request',
  'unsupported-media-type',
  'invalid-request',
])

/** A bug is logged with its stack. An outage is not: every request has the same one. */
const logFailure = (log: Log, request_id: string, problem: ProblemError, error: unknown) => {
  if (problem.problemCode === 'internal') log.error('request failed', { request_id, error })
  if (error instanceof Unavailable) {
    const { name, code } = error
    log.warn('unavailable', { request_id, error: { name, code } })
  }
}

type Set = { status?: number | string; headers: Record<string, string | number> }

const respond = ({ problemCode, errors, headers }: ProblemError, requestId: string, set: Set) => {
  const { status, title } = problemCatalogue[problemCode]
  set.status = status
  Object.assign(set.headers, headers, { 'content-type': 'application/problem+json' })
  return JSON.stringify({
    type: `/problems/${problemCode}`,
    title,
    status,
    code: problemCode,
    request_id: requestId,
    errors,
  })
}

const toProblem = (error: unknown): ProblemError | undefined => {
  if (error instanceof OptionsResponse) return undefined
  if (error instanceof ProblemError) return error
  // Elysia wraps the error of a parser.
  if (error instanceof Error && error.cause instanceof ProblemError) return error.cause
  if (error instanceof Unavailable)
    return new ProblemError('unavailable', { headers: { 'retry-after': '1' } })
  if (error instanceof ValidationError && error.type !== 'response')
    return new ProblemError('invalid-request', { errors: fieldErrorsOf(error) })
  return new ProblemError('internal')
}
