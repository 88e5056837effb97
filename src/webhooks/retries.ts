/**
 * The pauses between attempts, in seconds: the schedule of Standard Webhooks. Together three days and four hours, after
 * which a webhook is disabled.
 */
const pauses = [5, 300, 1800, 7200, 18_000, 36_000, 50_400, 72_000, 86_400]
/** Receivers that fail together do not all get their next attempt at once. */
const jitter = 0.1
const retryAfterMax = 86_400

/**
 * Seconds until the next attempt after this many failed ones; undefined if there is none. A receiver may ask for a
 * longer pause.
 */
export const secondsUntilRetry = (failed: number, retryAfterSeconds = 0): number | undefined => {
  const pause = pauses[failed - 1]
  if (pause === undefined) return undefined
  const spread = pause * (1 + jitter * Math.random())
  return Math.ceil(Math.max(spread, Math.min(retryAfterSeconds, retryAfterMax)))
}

/** The seconds of a `Retry-After` header, which has seconds or a date (RFC 9110 §10.2.3); 0 without a valid one. */
export const parseRetryAfter = (header: string | null, nowMs: number): number => {
  if (header === null) return 0
  const seconds = /^\d{1,9}$/.test(header.trim())
    ? Number(header)
    : (Date.parse(header) - nowMs) / 1000
  return Number.isFinite(seconds) && seconds > 0 ? Math.ceil(seconds) : 0
}
