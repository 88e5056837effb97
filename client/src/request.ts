import { toError } from './problem.ts'

export type RequestOptions = { signal?: AbortSignal | undefined }
/** A key of its own is made for each call; give one to repeat a call of an earlier process. */
export type KeyedOptions = RequestOptions & { idempotencyKey?: string | undefined }

/**
 * Which task. A task that was read stands for its version: a write is refused with
 * `version-mismatch` if the task has changed since. An id alone stands for any version.
 */
export type TaskRef = string | { id: string; version: number }

/** A response of openapi-fetch. */
type Outcome<Data> = { data?: Data; error?: unknown; response: Response }

/** What was asked for, or the reason why not as an error. */
export const unwrap = <Data>({ data, error, response }: Outcome<Data>): Data => {
  if (response.ok) return data as Data
  throw toError(response, error)
}

/** An absent member and one that is undefined differ under `exactOptionalPropertyTypes`. */
export const init = ({ signal }: RequestOptions): { signal?: AbortSignal } =>
  signal ? { signal } : {}

export const idOf = (task: TaskRef): string => (typeof task === 'string' ? task : task.id)

/** The parameters of a write that holds for one version only. */
export const conditional = (task: TaskRef) => ({
  path: { id: idOf(task) },
  header: typeof task === 'string' ? {} : { 'If-Match': `"${task.version}"` },
})

/** With it, a request can be repeated without a second effect. */
export const keyHeader = ({ idempotencyKey = createIdempotencyKey() }: KeyedOptions) => ({
  'Idempotency-Key': idempotencyKey,
})

/** 128 random bits. `crypto.randomUUID` exists on secure origins only, this on all. */
const createIdempotencyKey = (): string =>
  Array.from(crypto.getRandomValues(new Uint8Array(16)), (byte) =>
    byte.toString(16).padStart(2, '0'),
  ).join('')
