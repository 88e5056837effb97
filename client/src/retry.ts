import { sleep as sleepFor } from './abort.ts'
import { retryAfterSecondsOf } from './problem.ts'

/** `globalThis.fetch`, or what stands in for it. */
export type Fetch = (request: Request, init?: RequestInit) => Promise<Response>

export type RetryOptions = {
  /** How often a request is sent at most, the first time included. */
  attemptsMax?: number | undefined
  /** A response that asks for a longer wait is returned instead. */
  waitSecondsMax?: number | undefined
}

type Needs = {
  fetch: Fetch
  retry?: RetryOptions | undefined
  timeoutMs?: number | undefined
  sleep?: (seconds: number, signal: AbortSignal) => Promise<void>
}

/** Sends a request, again if it was lost and a second time has no second effect. */
export type Send = (request: Request, options?: { isRepeatable?: boolean }) => Promise<Response>

const defaults = { attemptsMax: 4, waitSecondsMax: 10, timeoutMs: 60_000 }

/**
 * Repeats reads, and writes with an `Idempotency-Key`, after a network error, 502, 503 and 504, and
 * while the first request with the same key is still running. Other writes are sent once: after a
 * lost response it is unknown whether they had an effect.
 */
export const createSend = ({
  fetch,
  retry = {},
  timeoutMs = defaults.timeoutMs,
  sleep = sleepFor,
}: Needs): Send => {
  const { attemptsMax = defaults.attemptsMax, waitSecondsMax = defaults.waitSecondsMax } = retry

  return async (request, { isRepeatable = isSafeToRepeat(request) } = {}) => {
    for (let attempt = 1; ; attempt++) {
      const isLast = !isRepeatable || attempt >= attemptsMax
      let waitSeconds = backoffSeconds(attempt)
      try {
        const response = await fetchInTime(fetch, copyOf(request), timeoutMs)
        if (isLast || !(await isTransient(request, response))) return response
        waitSeconds = retryAfterSecondsOf(response) ?? waitSeconds
        if (waitSeconds > waitSecondsMax) return response
        await response.body?.cancel()
      } catch (error) {
        if (isLast || request.signal.aborted) throw error
      }
      await sleep(waitSeconds, request.signal)
    }
  }
}

/** A body can be read once: what is sent is a copy. (With the types of Bun, `clone` needs the cast.) */
export const copyOf = (request: Request): Request => request.clone() as Request

const isSafeToRepeat = ({ method, headers }: Request): boolean =>
  ['GET', 'HEAD', 'OPTIONS'].includes(method) || headers.has('idempotency-key')

const isTransient = async (request: Request, response: Response): Promise<boolean> => {
  if ([502, 503, 504].includes(response.status)) return true
  if (response.status !== 409 || !request.headers.has('idempotency-key')) return false
  const body: unknown = await response
    .clone()
    .json()
    .catch(() => undefined)
  return (body as { code?: unknown } | undefined)?.code === 'idempotency-in-flight'
}

/** 0.25 s, 0.5 s, 1 s, each with up to half of it more or less, so that clients do not return at once. */
const backoffSeconds = (attempt: number): number =>
  0.25 * 2 ** (attempt - 1) * (0.5 + Math.random())

/** The limit applies until the response begins: a long export may take longer to read. */
const fetchInTime = async (fetch: Fetch, request: Request, timeoutMs: number) => {
  const timeout = new AbortController()
  const timer = setTimeout(
    () => timeout.abort(new DOMException(`no response within ${timeoutMs} ms`, 'TimeoutError')),
    timeoutMs,
  )
  try {
    return await fetch(request, { signal: AbortSignal.any([request.signal, timeout.signal]) })
  } finally {
    clearTimeout(timer)
  }
}
