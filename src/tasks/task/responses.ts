import type { IdempotencyKey } from '../../db/idempotency.ts'
import { requireSession } from '../../http/authenticated.ts'
import { formatEtag } from '../../http/conditional.ts'
import { replayResponse } from '../../http/idempotency.ts'
import { throwProblem } from '../../http/problem.ts'
import type { WriteResult } from './repository.ts'
import type { Task } from './schema.ts'

export type ResponseHead = { headers: Record<string, string | number>; status?: number | string }

/** Absent, deleted, somebody else's and malformed ids are one answer: nothing is confirmed to exist. */
export const requireTask = <T>(found: T | null | undefined): T =>
  requireSession(found) ?? throwProblem('task-not-found')

/** The task that was written, or what a statement says of why it was not. */
export const respondToWrite = (
  found: WriteResult | null | undefined,
  set: ResponseHead,
  idempotencyKey?: IdempotencyKey,
): Task => {
  const result = requireTask(found)
  if ('inFlight' in result) return throwProblem('idempotency-in-flight')
  if ('storedResponse' in result && idempotencyKey)
    return replayResponse(result.storedResponse, idempotencyKey, set.headers) as Task
  if ('version' in result)
    return throwProblem('version-mismatch', { headers: { etag: formatEtag(result) } })
  if (!('task' in result)) throw new Error('a kept answer to a request without a key')
  set.headers.etag = formatEtag(result.task)
  return result.task
}
