import { epochMs } from '../db/clock.ts'
import type { RequestPrincipal } from '../http/principal.ts'
import { throwProblem } from '../http/problem.ts'
import type { Log } from '../log.ts'
import type { Notifications } from '../notifications/notifications.ts'
import type { ChangesReader, ChangesRepository } from '../tasks/changes/repository.ts'
import type { ChangesTokens, FeedPosition } from '../tasks/changes/token.ts'
import { createSharedFeeds } from './shared-feed.ts'
import { EventStream } from './stream.ts'

type Needs = {
  notifications: Notifications
  /** Aborts when the process stops. */
  stopSignal: AbortSignal
  changes: ChangesRepository
  readChanges: ChangesReader
  changesTokens: ChangesTokens
  log: Log
}

const [perUserMax, perInstanceMax] = [10, 5000]
const tickMs = 1000

/** The open event streams of this instance. */
export const createEventStreams = (needs: Needs) => {
  const { notifications, stopSignal } = needs
  const sharedFeeds = createSharedFeeds(needs)
  /** With the functions that end their subscriptions. */
  const streams = new Map<EventStream, () => void>()
  /** Streams and reserved places, by user. */
  const counts = new Map<string, number>()
  let total = 0
  let ticking: ReturnType<typeof setInterval> | undefined

  const tick = () => {
    const nowMs = epochMs()
    for (const stream of streams.keys()) stream.tick(nowMs)
  }
  stopSignal.addEventListener('abort', () => {
    for (const stream of streams.keys()) stream.end('draining')
  })

  const add = (userId: string, change: 1 | -1) => {
    const count = (counts.get(userId) ?? 0) + change
    total += change
    if (count === 0) counts.delete(userId)
    else counts.set(userId, count)
  }

  const onClose = (stream: EventStream) => {
    streams.get(stream)?.()
    streams.delete(stream)
    add(stream.userId, -1)
    if (streams.size > 0) return
    clearInterval(ticking)
    ticking = undefined
  }
  const streamNeeds = { ...needs, sharedFeeds, onClose }

  const open = (stream: EventStream): ReadableStream<Uint8Array> => {
    streams.set(stream, notifications.subscribe(stream))
    // What has changed before the subscription.
    stream.wake()
    if (stopSignal.aborted) stream.end('draining')
    if (ticking === undefined) {
      ticking = setInterval(tick, tickMs)
      ticking.unref()
    }
    return stream.body()
  }

  return {
    create: (principal: RequestPrincipal, start: FeedPosition) =>
      new EventStream(principal, start, streamNeeds),

    /** A place for one stream; 429 or 503 if there is none. It has to be used by `open` or released. */
    reserve: (userId: string) => {
      if ((counts.get(userId) ?? 0) >= perUserMax) throwProblem('too-many-streams')
      if (total >= perInstanceMax) throwProblem('unavailable', { headers: { 'retry-after': '10' } })
      add(userId, 1)
      return { release: () => add(userId, -1), open }
    },

    openCount: () => streams.size,
  }
}

export type EventStreams = ReturnType<typeof createEventStreams>
