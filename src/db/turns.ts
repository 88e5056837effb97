import type { Deadline } from './deadline.ts'
import { DatabaseUnavailable } from './faults.ts'

/** More statements than this do not wait, they are refused: a queue without end only hides an outage. */
const waitingMax = 10_000

type Waiting = { deadline: Deadline; enter: () => void; refuse: (error: Error) => void }

/**
 * At most `max` at a time, first come, first served. Who is still waiting at his
 * deadline never gets his turn: a write must not run after its 503.
 */
export const turns = (max: number) => {
  const waiting = new Set<Waiting>()
  let taken = 0

  const leave = () => {
    taken--
    for (const next of waiting) {
      waiting.delete(next)
      // Asked again here: where statements block the loop, the timer comes too late.
      if (next.deadline.expired()) next.refuse(new DatabaseUnavailable('deadline'))
      else return next.enter()
    }
  }

  const wait = async (deadline: Deadline) => {
    if (waiting.size >= waitingMax) throw new DatabaseUnavailable('queue')
    const { promise, resolve, reject } = Promise.withResolvers<void>()
    const mine: Waiting = {
      deadline,
      enter: () => {
        taken++
        resolve()
      },
      refuse: reject,
    }
    waiting.add(mine)
    try {
      await deadline.race(promise)
    } catch (error) {
      waiting.delete(mine)
      throw error
    }
  }

  return {
    leave,

    /** How many have a turn, and how many wait for one. */
    state: () => ({ max, used: taken, waiting: waiting.size }),

    /** Whether a turn was free, and is taken now; who finds none has to `wait`. */
    enter: (): boolean => {
      if (taken >= max) return false
      taken++
      return true
    },

    wait,

    /** Whoever waits is refused; who has a turn keeps it. */
    refuseAll() {
      for (const { refuse } of waiting) refuse(new DatabaseUnavailable('closed'))
      waiting.clear()
    },
  }
}
