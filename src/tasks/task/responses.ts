import type { IdempotencyKey } from '../../db/idempotency.ts'
import { requireSession } from '../../http/authenticated.ts'
import { formatEtag } from '../../http/conditional.ts'
import { replayResponse } from '../../http/idempotency.ts'
import { throwProblem } from '../../http/problem.ts'
import type { Task } from './schema.ts'
import type { WriteResult } from './write-result.ts'

export type ResponseHead = { headers: Record<string, string | number>; status?: number | string }

/** 401 for undefined (no session), 404 for null: ids that are absent, deleted, malformed or of another user are alike. */
export const requireTask = <T>(found: T | null | undefined): T =>
  requireSession(found) ?? throwProblem('task-not-found')

/** The response to a completion. The stored response of a key is the whole task, with its `next`. */
export const respondToCompletion = (
  result: WriteResult | null | undefined,
  set: ResponseHead,
  key?: IdempotencyKey,
) => {
  const task: Task & { next?: Task | null } = respondToWrite(result, set, key)
  const next = result && 'next' in result ? result.next : task.next
  return {
    success: true as const,
    completed: task.completed,
    ...(next !== undefined && { next }),
  }
}

/** Returns the written task and sets its `ETag`, or throws the problem that the result stands for. */
export const respondToWrite = (
  result: WriteResult | null | undefined,
  set: ResponseHead,
  key?: IdempotencyKey,
): Task => {
  const found = requireTask(result)
  if ('inFlight' in found) return throwProblem('idempotency-in-flight')
  if ('storedResponse' in found && key)
    return replayResponse(found.storedResponse, key, set.headers) as Task
  if ('version' in found)
    return throwProblem('version-mismatch', { headers: { etag: formatEtag(found) } })
  if (!('task' in found)) throw new Error('a stored response for a request without a key')
  set.headers.etag = formatEtag(found.task)
  return found.task
}
