import type { Deadline } from './deadline.ts'
import { DatabaseUnavailable } from './faults.ts'

/** More statements than this do not wait, they are refused: a queue without end only hides an outage. */
const waitingMax = 10_000

type Waiting<Seat> = {
  deadline: Deadline
  enter: (seat?: Seat) => void
  refuse: (error: Error) => void
  accepts?: ((seat: Seat) => boolean) | undefined
}

/**
 * At most `max` at a time, first come, first served. Who is still waiting at his
 * deadline never gets his turn: a write must not run after its 503.
 *
 * Who has a turn may offer a seat beside him, which whoever is first in the queue may accept.
 */
export const turns = <Seat = never>(max: number) => {
  const waiting = new Set<Waiting<Seat>>()
  let taken = 0

  const first = () => {
    for (const one of waiting) {
      // Asked again here: where statements block the loop, the timer comes too late.
      if (!one.deadline.expired()) return one
      waiting.delete(one)
      one.refuse(new DatabaseUnavailable('deadline'))
    }
    return undefined
  }

  return {
    /** Whether a turn was free, and is taken now; who finds none has to `wait`. */
    enter: (): boolean => {
      if (taken >= max) return false
      taken++
      return true
    },

    /** Ends with a turn of one's own, or with the seat of another that was accepted. */
    async wait(deadline: Deadline, accepts?: (seat: Seat) => boolean): Promise<Seat | undefined> {
      if (waiting.size >= waitingMax) throw new DatabaseUnavailable('queue')
      const { promise, resolve, reject } = Promise.withResolvers<Seat | undefined>()
      const mine: Waiting<Seat> = { deadline, enter: resolve, refuse: reject, accepts }
      waiting.add(mine)
      try {
        return await deadline.race(promise)
      } catch (error) {
        waiting.delete(mine)
        throw error
      }
    },

    leave() {
      const next = first()
      if (!next) {
        taken--
        return
      }
      waiting.delete(next)
      next.enter()
    },

    /** Whether the first who waits has taken the seat; nobody is let past him. */
    offer(seat: Seat): boolean {
      const next = first()
      if (!next?.accepts?.(seat)) return false
      waiting.delete(next)
      next.enter(seat)
      return true
    },

    /** How many have a turn, and how many wait for one. */
    state: () => ({ max, used: taken, waiting: waiting.size }),

    /** Whoever waits is refused; who has a turn keeps it. */
    refuseAll() {
      for (const { refuse } of waiting) refuse(new DatabaseUnavailable('closed'))
      waiting.clear()
    },
  }
}
