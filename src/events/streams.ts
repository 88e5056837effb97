import { epochMs } from '../db/clock.ts'
import type { Principal } from '../db/user-scope.ts'
import { throwProblem } from '../http/problem.ts'
import type { Log } from '../log.ts'
import type { Notifications } from '../notifications/notifications.ts'
import { EventStream, type ReadEvents } from './stream.ts'

type Needs = {
  notifications: Notifications
  /** Aborts when the process stops. */
  stopSignal: AbortSignal
  log: Log
}
type Opening = {
  principal: Principal & { expiresAtMs: number }
  /** The text of the first events. */
  first: string
  readEvents: ReadEvents
  /** The number of the last change that was sent. */
  seen: () => number
}

const [perUserMax, perInstanceMax] = [10, 5000]
const tickMs = 1000

/** The open event streams of this instance. */
export const createEventStreams = ({ notifications, stopSignal, log }: Needs) => {
  const streams = new Set<EventStream>()
  const counts = new Map<string, number>()
  let total = 0
  let ticking: ReturnType<typeof setInterval> | undefined

  const tick = () => {
    const nowMs = epochMs()
    for (const stream of streams) stream.tick(nowMs)
  }
  stopSignal.addEventListener('abort', () => {
    for (const stream of streams) stream.end('draining')
  })

  /** Streams and reserved places of a user. */
  const add = (userId: string, change: 1 | -1) => {
    const count = (counts.get(userId) ?? 0) + change
    total += change
    if (count === 0) counts.delete(userId)
    else counts.set(userId, count)
  }

  const open = ({ principal, first, readEvents, seen }: Opening, onClose: () => void) => {
    const { userId, sessionId, expiresAtMs } = principal
    const close = () => {
      unsubscribe()
      streams.delete(stream)
      onClose()
      if (streams.size > 0) return
      clearInterval(ticking)
      ticking = undefined
    }
    const stream = new EventStream({ first, readEvents, expiresAtMs, log, onClose: close })
    const wake = () => stream.wake()
    const unsubscribe = notifications.subscribe({ userId, sessionId, seen, wake })
    streams.add(stream)
    if (stopSignal.aborted) stream.end('draining')
    if (ticking === undefined) {
      ticking = setInterval(tick, tickMs)
      ticking.unref()
    }
    return stream
  }

  return {
    /** A place for one stream; 429 or 503 if there is none. It has to be opened or released. */
    reserve: (userId: string) => {
      if ((counts.get(userId) ?? 0) >= perUserMax) throwProblem('too-many-streams')
      if (total >= perInstanceMax) throwProblem('unavailable', { headers: { 'retry-after': '10' } })
      add(userId, 1)
      let isHeld = true
      const release = () => {
        if (isHeld) add(userId, -1)
        isHeld = false
      }
      return { release, open: (opening: Opening) => open(opening, release) }
    },

    openCount: () => streams.size,
  }
}

export type EventStreams = ReturnType<typeof createEventStreams>
