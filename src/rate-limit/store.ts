import { Unavailable } from '../unavailable.ts'

/** `resetsAt`: the end of the window, in milliseconds since 1970 by the clock of this process. */
export type Count = { count: number; resetsAt: number }

/**
 * Fixed-window counters. A key is `kind:id`, such as `user:0198…`. The memory store separates the kinds, so that a
 * flood of one kind does not evict another.
 *
 * A store that does not respond throws `RateLimitStoreUnavailable`: no request passes uncounted.
 */
export type RateLimitCounters = {
  /** Adds one, and opens a window of `windowMs` if none is open. The count may exceed `limit`. */
  add(key: string, windowMs: number, limit: number): Count | Promise<Count>
  /** Subtracts one, never below zero. It has no effect if the window has ended. */
  decrement(key: string): void | Promise<void>
  reset(key: string): void | Promise<void>
}

/** A rate-limit store that is open. */
export type RateLimitStore = RateLimitCounters & {
  /** One round trip; `RateLimitStoreUnavailable` if it fails. */
  ping(): Promise<void>
  close(): Promise<void>
}

/**
 * The rate-limit store does not respond in time: 503. `code` is a SQLSTATE, the first word of a Redis error (`OOM`),
 * or `full`, `deadline`, `unreachable`, `closed`.
 */
export class RateLimitStoreUnavailable extends Unavailable {
  override readonly name = 'RateLimitStoreUnavailable'
  declare readonly code: string

  constructor(code: string) {
    super(`the rate-limit store is unavailable (${code})`, code)
  }
}
