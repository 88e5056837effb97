import { Elysia, ValidationError } from 'elysia'
import type { Caller } from '../auth/caller.ts'
import { IssuerUnavailable } from '../auth/key-sets.ts'
import { catalogue } from '../catalogue.ts'
import { CountersUnavailable } from '../counters/counters.ts'
import { DatabaseUnavailable } from '../db/faults.ts'
import { challenge, Refusal } from '../errors.ts'
import { Options } from './door.ts'
import { issuesOf } from './issues.ts'
import { type Log, timed } from './log.ts'
import type { RateLimit } from './rate-limit.ts'
import type { Visit, Visits } from './visits.ts'

type Needs = {
  visits: Visits
  log: Log
  limit: RateLimit
  /** Whether the caller's session still lives: one statement, for what was refused before any was sent. */
  isLive: (caller: Caller) => Promise<boolean>
}

/**
 * The only place where an error becomes a response.
 *
 * What was refused before a handler ran is counted here, and its session checked
 * here: so every answer counts once, and a dead session is 401 whatever the body.
 */
export const problems = ({ visits, log, limit, isLive }: Needs) => {
  /** Whether a statement would find the session ended. What is answered whoever asks does not hang on it. */
  const hasEnded = async (caller: Caller, code: string): Promise<boolean> => {
    if (!beforeSession.has(code)) return false
    try {
      return !(await isLive(caller))
    } catch (error) {
      if (beforeToken.has(code)) return false
      throw error
    }
  }

  /** Counts the answer, once and against whom it is due, and gives what is answered in the end. */
  const settled = async (refusal: Refusal | undefined, visit: Visit, set: Set) => {
    const code = refusal?.refusal ?? 'options'
    if (code === 'unauthenticated') await limit.giveBack(visit)
    Object.assign(set.headers, await limit.count(visit))
    if (visit.caller === undefined || !(await hasEnded(visit.caller, code))) return refusal
    await limit.giveBack(visit)
    Object.assign(set.headers, await limit.count(visit))
    return beforeToken.has(code)
      ? refusal
      : new Refusal('unauthenticated', { headers: challenge(true) })
  }

  return new Elysia({ name: 'problems' }).onError({ as: 'global' }, async (context) => {
    const { request, set } = context
    const visit = visits.of(request)
    let error: unknown = context.error
    if (error instanceof Options) {
      set.status = 204
      set.headers.allow = error.allow
    }

    let refusal = asRefusal(error)
    try {
      refusal = await settled(refusal, visit, set)
    } catch (worse) {
      error = worse
      refusal = asRefusal(worse)
    }
    if (error instanceof DatabaseUnavailable) visit.fault = error.code
    timed(visit)
    if (refusal === undefined) return ''
    if (refusal.refusal === 'internal') log.error('request failed', { request_id: visit.id, error })
    // Without its stack: an outage is no bug, and every request of it is one.
    if (isOutage(error)) {
      const code = 'code' in error ? error.code : undefined
      log.warn('unavailable', { request_id: visit.id, error: { name: error.name, code } })
    }
    return answer(refusal, visit.id, set)
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

const answer = ({ refusal: code, errors, headers }: Refusal, requestId: string, set: Set) => {
  const { status, title } = catalogue[code]
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

const isOutage = (error: unknown) =>
  error instanceof DatabaseUnavailable ||
  error instanceof CountersUnavailable ||
  error instanceof IssuerUnavailable

const asRefusal = (error: unknown): Refusal | undefined => {
  if (error instanceof Options) return undefined
  if (error instanceof Refusal) return error
  // Elysia wraps what a parser throws.
  if (error instanceof Error && error.cause instanceof Refusal) return error.cause
  if (isOutage(error)) return new Refusal('unavailable', { headers: { 'retry-after': '1' } })
  if (error instanceof ValidationError && error.type !== 'response')
    return new Refusal('invalid-request', { errors: issuesOf(error) })
  return new Refusal('internal')
}
