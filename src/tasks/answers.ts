import { alive } from '../auth/guard.ts'
import { refuse } from '../errors.ts'
import { replayed } from './idempotency.ts'
import type { Task } from './model.ts'
import type { Once } from './once.ts'
import { etagOf } from './preconditions.ts'
import type { Written } from './repository.ts'

export type Head = { headers: Record<string, string | number>; status?: number | string }

/** Absent, deleted, somebody else's and malformed ids are one answer: nothing is confirmed to exist. */
export const existing = <T>(found: T | null | undefined): T =>
  alive(found) ?? refuse('task-not-found')

/** The task that was written, or what a statement says of why it was not. */
export const written = (found: Written | null | undefined, set: Head, once?: Once): Task => {
  const result = existing(found)
  if ('inFlight' in result) return refuse('idempotency-in-flight')
  if ('kept' in result && once) return replayed(result.kept, once, set.headers) as Task
  if ('version' in result) return refuse('version-mismatch', { headers: { etag: etagOf(result) } })
  if (!('task' in result)) throw new Error('a kept answer to a request without a key')
  set.headers.etag = etagOf(result.task)
  return result.task
}
