/** `resetsAt`: when the window turns, in milliseconds since 1970. */
export type Count = { count: number; resetsAt: number }

/**
 * Fixed-window counters. A key is `kind:rest`, as in `user:0198…`; a store keeps
 * each kind apart, so that a flood of one cannot crowd out another.
 *
 * A store that cannot answer throws `CountersUnavailable`: never an open door.
 */
export type Counters = {
  /** Adds one, opening a window of `windowMs` if none is open. The count may go past `limit`. */
  add(key: string, windowMs: number, limit: number): Count | Promise<Count>
  /** One less, never below zero; nothing at all if the window has turned since. */
  giveBack(key: string): void | Promise<void>
  forget(key: string): void | Promise<void>
}

/** The store could not count: a 503. */
export class CountersUnavailable extends Error {
  constructor(message = 'the counters cannot answer', options?: ErrorOptions) {
    super(message, options)
    this.name = 'CountersUnavailable'
  }
}
