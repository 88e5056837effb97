/** `resetsAt`: when the window turns, in milliseconds since 1970 by this process's clock. */
export type Count = { count: number; resetsAt: number }

/**
 * Fixed-window counters. A key is `kind:rest`, as in `user:0198…`; a store in memory
 * keeps each kind apart, so that a flood of one cannot crowd out another.
 *
 * A store that cannot answer throws `CountersUnavailable`: never an open door.
 */
export type RateLimitCounters = {
  /** Adds one, opening a window of `windowMs` if none is open. The count may go past `limit`. */
  add(key: string, windowMs: number, limit: number): Count | Promise<Count>
  /** One less, never below zero; nothing at all if the window has turned since. */
  decrement(key: string): void | Promise<void>
  reset(key: string): void | Promise<void>
}

/** Counters that a process holds open, in its memory or elsewhere. */
export type RateLimitStore = RateLimitCounters & {
  /** One round trip; `CountersUnavailable` when it fails. */
  ping(): Promise<void>
  close(): Promise<void>
}

/**
 * The store could not count: a 503. It carries a code for the log and nothing else:
 * a client's own message may have keys or an address in it.
 */
export class RateLimitStoreUnavailable extends Error {
  override readonly name = 'CountersUnavailable'
  /** A SQLSTATE, a Redis error's first word (`OOM`), or `full`, `deadline`, `unreachable`, `closed`. */
  readonly code: string

  constructor(code: string) {
    super(`the counters cannot answer (${code})`)
    this.code = code
  }
}
