import { DatabaseUnavailable } from '../errors.ts'
import type { Deadline } from './deadline.ts'

/** More statements are refused instead of queued: an unlimited queue only hides an outage. */
const waitingMax = 10_000

type Waiting<Shared> = {
  deadline: Deadline
  admit: (shared?: Shared) => void
  reject: (error: Error) => void
  accepts?: ((shared: Shared) => boolean) | undefined
}

/**
 * A FIFO semaphore with `max` permits. A statement that is still waiting at its deadline never gets a permit, because a
 * write must not run after its 503.
 *
 * The holder of a permit may offer to share what it has; the first waiting statement may accept.
 */
export const createSemaphore = <Shared = never>(max: number) => {
  const waiting = new Set<Waiting<Shared>>()
  let used = 0

  const first = () => {
    for (const one of waiting) {
      // Checked here too: while statements block the event loop, the timer fires too late.
      if (!one.deadline.expired()) return one
      waiting.delete(one)
      one.reject(new DatabaseUnavailable('deadline'))
    }
    return undefined
  }

  return {
    tryAcquire: (): boolean => {
      if (used >= max) return false
      used++
      return true
    },

    /** Waits for a permit, or for an offer that it accepts, which is returned. */
    async acquire(
      deadline: Deadline,
      accepts?: (shared: Shared) => boolean,
    ): Promise<Shared | undefined> {
      if (waiting.size >= waitingMax) throw new DatabaseUnavailable('queue')
      const { promise, resolve, reject } = Promise.withResolvers<Shared | undefined>()
      const own: Waiting<Shared> = { deadline, admit: resolve, reject, accepts }
      waiting.add(own)
      try {
        return await deadline.race(promise)
      } catch (error) {
        waiting.delete(own)
        throw error
      }
    },

    release() {
      const next = first()
      if (!next) {
        used--
        return
      }
      waiting.delete(next)
      next.admit()
    },

    /** Whether the first waiting statement accepts. No other is asked before it. */
    offer(shared: Shared): boolean {
      const next = first()
      if (!next?.accepts?.(shared)) return false
      waiting.delete(next)
      next.admit(shared)
      return true
    },

    state: () => ({ max, used, waiting: waiting.size }),

    /** Rejects all waiting statements; permits in use stay valid. */
    rejectAll() {
      for (const { reject } of waiting) reject(new DatabaseUnavailable('closed'))
      waiting.clear()
    },
  }
}
