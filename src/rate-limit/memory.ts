import { createKeyedQueue, QueueEntry } from './keyed-queue.ts'
import { type Count, type RateLimitStore, RateLimitStoreUnavailable } from './store.ts'

/**
 * Counters of this process alone: right for one instance, and bounded.
 *
 * Each kind of key has room for `keysMax`. When that is full a newcomer takes the
 * place of an expired key, else of one with the smallest count. A key that has
 * used up its limit keeps its place, or whoever is refused could have himself
 * forgotten by a flood; if there are only such keys, the newcomer is turned away.
 */
export const createMemoryStore = ({ keysMax = 100_000 } = {}) => {
  const spaces = new Map<string, Space>()

  const spaceOf = (key: string) => {
    const kind = key.slice(0, Math.max(0, key.indexOf(':')))
    const space = spaces.get(kind) ?? spaceFor(keysMax)
    spaces.set(kind, space)
    return space
  }

  return {
    add: (key, windowMs, limit) => spaceOf(key).add(key, windowMs, limit),
    decrement: (key) => spaceOf(key).decrement(key),
    reset: (key) => spaceOf(key).reset(key),
    ping: async () => {},
    close: async () => {},
  } satisfies RateLimitStore
}

type Entry = Count & { limit: number; inAge: QueueEntry; inCount: QueueEntry }
type Space = ReturnType<typeof spaceFor>

const spaceFor = (keysMax: number) => {
  const entries = new Map<string, Entry>()
  /** Every key, by the length of its window: those of one length expire in the order they came. */
  const byWindow = createKeyedQueue()
  /** The keys that still have some of their limit left, by count. */
  const byCount = createKeyedQueue()

  const recount = (entry: Entry, count: number) => {
    byCount.leave(entry.inCount)
    entry.count = count
    if (count < entry.limit) byCount.join(count, entry.inCount)
  }

  const reset = (key: string) => {
    const entry = entries.get(key)
    if (entry === undefined) return
    entries.delete(key)
    byWindow.leave(entry.inAge)
    byCount.leave(entry.inCount)
  }

  /** `lowest` walks up the counts; the requests that raised them have paid for the walk. */
  const makeRoom = (now: number) => {
    const expired = byWindow.heads().find((key) => (entries.get(key)?.resetsAt ?? now) <= now)
    const leaver = expired ?? byCount.lowest()
    // All keys have used up their limit.
    if (leaver === undefined) throw new RateLimitStoreUnavailable('full')
    reset(leaver)
  }

  const open = (key: string, windowMs: number, limit: number, now: number) => {
    reset(key)
    if (entries.size >= keysMax) makeRoom(now)
    const resetsAt = now + windowMs
    const entry = {
      count: 0,
      resetsAt,
      limit,
      inAge: new QueueEntry(key),
      inCount: new QueueEntry(key),
    }
    entries.set(key, entry)
    byWindow.join(windowMs, entry.inAge)
    return entry
  }

  return {
    add(key: string, windowMs: number, limit: number): Count {
      const now = Date.now()
      const known = entries.get(key)
      const isOpen = known !== undefined && now < known.resetsAt
      const entry = isOpen ? known : open(key, windowMs, limit, now)
      entry.limit = limit
      recount(entry, entry.count + 1)
      return { count: entry.count, resetsAt: entry.resetsAt }
    },

    decrement(key: string) {
      const entry = entries.get(key)
      // Where the window has turned this changes nothing: the next request opens another.
      if (entry !== undefined && entry.count > 0) recount(entry, entry.count - 1)
    },

    reset,
  }
}
