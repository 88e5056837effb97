import type { Log } from '../log.ts'
import { type ChangesReader, isBefore, isComplete } from '../tasks/changes/repository.ts'
import type { ChangesTokens, FeedPosition } from '../tasks/changes/token.ts'
import { Unavailable } from '../unavailable.ts'
import { formatEntries, pageSize } from './feed.ts'

/** A stream that has everything up to the position of the feed. */
export type Follower = {
  readonly userId: string
  readonly sessionId: string
  readonly withLists: boolean
  /** Receives the text of the next events, which may be empty, and the position after them. */
  receive(text: string, position: FeedPosition): void
  /** Its session has ended. */
  endSession(): void
  /** It has to read by itself. */
  detach(): void
}

type Needs = { readChanges: ChangesReader; changesTokens: ChangesTokens; log: Log }

/** After a read, the next one waits this long, so that many changes at once are few statements. */
const pauseMs = 100
/** How soon to try again while the database is down. */
const retryMs = 1000

/**
 * The changes of one user, read once for all streams of the user on this instance: ten tabs cost one statement per
 * change.
 */
const createSharedFeed = (userId: string, start: FeedPosition, needs: Needs) => {
  const { readChanges, changesTokens, log } = needs
  /** The followers, and the position that each had when it joined. */
  const followers = new Map<Follower, FeedPosition>()
  let position = start
  let isDue = false
  let isReading = false
  let timer: ReturnType<typeof setTimeout> | undefined
  let readAtMs = Number.NEGATIVE_INFINITY

  const read = async (): Promise<void> => {
    isDue = false
    const sessionIds = [...new Set([...followers.keys()].map(({ sessionId }) => sessionId))]
    const page = await readChanges(userId, { limit: pageSize, since: position, sessionIds })
    const { entries = [], live = new Set(), has_more = false } = page ?? {}
    const end = page ? changesTokens.advance(page.progress, position, !has_more) : position
    const events = formatEntries(entries, { userId, start: position, end, changesTokens })
    const text = events.map((event) => event.text).join('')
    position = end
    isDue ||= has_more
    // One that joined during the read was not asked about.
    for (const [follower, joinedAt] of [...followers])
      if (sessionIds.includes(follower.sessionId) && !live.has(follower.sessionId)) {
        followers.delete(follower)
        follower.endSession()
        // One that has more than the feed does not go back.
      } else if (!isBefore(position, joinedAt)) {
        const isNew = ({ number }: { number: number }) => number > joinedAt.number
        const own = events.every(isNew)
          ? text
          : events
              .filter(isNew)
              .map((one) => one.text)
              .join('')
        follower.receive(own, position)
      }
  }

  const run = async (): Promise<void> => {
    timer = undefined
    isReading = true
    try {
      await read()
      readAtMs = performance.now()
    } catch (error) {
      if (error instanceof Unavailable) {
        isDue = true
        readAtMs = performance.now() + retryMs
      } else {
        log.error('event feed failed', { error })
        for (const follower of [...followers.keys()]) follower.detach()
      }
    }
    isReading = false
    if (isDue) schedule()
  }

  const schedule = (): void => {
    if (isReading || timer !== undefined || followers.size === 0) return
    timer = setTimeout(() => void run(), Math.max(0, readAtMs + pauseMs - performance.now()))
  }

  return {
    followers,
    position: () => position,
    /** Changes may exist, or a session may have ended. */
    wake: (): void => {
      isDue = true
      schedule()
    },
  }
}

/** The shared feeds of this instance, by user. */
export const createSharedFeeds = (needs: Needs) => {
  /** By user: the feed without lists, and the one with lists. */
  const feeds = new Map<string, ReturnType<typeof createSharedFeed>>()
  const keyOf = ({ userId, withLists }: Pick<Follower, 'userId' | 'withLists'>) =>
    withLists ? `${userId} lists` : userId

  return {
    /** Whether the follower may follow: it has at least what the feed has. Otherwise it has to read on. */
    join: (follower: Follower, position: FeedPosition): boolean => {
      const { userId } = follower
      const key = keyOf(follower)
      const feed = feeds.get(key) ?? createSharedFeed(userId, position, needs)
      if (!isComplete(position) || position.number < feed.position().number) return false
      feeds.set(key, feed)
      feed.followers.set(follower, position)
      return true
    },

    leave: (follower: Follower): void => {
      const key = keyOf(follower)
      const feed = feeds.get(key)
      feed?.followers.delete(follower)
      if (feed?.followers.size === 0) feeds.delete(key)
    },

    wake: (follower: Follower): void => feeds.get(keyOf(follower))?.wake(),
  }
}

export type SharedFeeds = ReturnType<typeof createSharedFeeds>
