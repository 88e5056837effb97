import { createKeyedQueue, QueueEntry } from './keyed-queue.ts'
import { type Count, type RateLimitStore, RateLimitStoreUnavailable } from './store.ts'

/**
 * Counters in the memory of one process, for a single instance.
 *
 * Each kind of key has room for `keysMax`. A new key evicts an expired key, or else one with the smallest count. A
 * key that is over its limit is never evicted, so that a client cannot reset its count by a flood of other keys. If
 * all keys are over the limit, a new key is refused (503).
 */
export const createMemoryStore = ({ keysMax = 100_000 } = {}) => {
  const partitions = new Map<string, Partition>()

  const partitionOf = (key: string) => {
    const kind = key.slice(0, Math.max(0, key.indexOf(':')))
    const partition = partitions.get(kind) ?? createPartition(keysMax)
    partitions.set(kind, partition)
    return partition
  }

  return {
    add: (key, windowMs, limit) => partitionOf(key).add(key, windowMs, limit),
    decrement: (key) => partitionOf(key).decrement(key),
    reset: (key) => partitionOf(key).reset(key),
    ping: async () => {},
    close: async () => {},
  } satisfies RateLimitStore
}

type Entry = Count & { limit: number; inWindowQueue: QueueEntry; inCountQueue: QueueEntry }
type Partition = ReturnType<typeof createPartition>

const createPartition = (keysMax: number) => {
  const entries = new Map<string, Entry>()
  /** Every key, by the length of its window: keys of equal length expire in the order of their creation. */
  const byWindow = createKeyedQueue()
  /** The keys below their limit, by count. */
  const byCount = createKeyedQueue()

  const recount = (entry: Entry, count: number) => {
    byCount.leave(entry.inCountQueue)
    entry.count = count
    if (count < entry.limit) byCount.join(count, entry.inCountQueue)
  }

  const reset = (key: string) => {
    const entry = entries.get(key)
    if (entry === undefined) return
    entries.delete(key)
    byWindow.leave(entry.inWindowQueue)
    byCount.leave(entry.inCountQueue)
  }

  /** `lowest` visits the counts upwards: each step was paid for by a request that raised a count. */
  const makeRoom = (now: number) => {
    const expired = byWindow.heads().find((key) => (entries.get(key)?.resetsAt ?? now) <= now)
    const evicted = expired ?? byCount.lowest()
    // All keys are over their limit.
    if (evicted === undefined) throw new RateLimitStoreUnavailable('full')
    reset(evicted)
  }

  const open = (key: string, windowMs: number, limit: number, now: number) => {
    reset(key)
    if (entries.size >= keysMax) makeRoom(now)
    const resetsAt = now + windowMs
    const entry = {
      count: 0,
      resetsAt,
      limit,
      inWindowQueue: new QueueEntry(key),
      inCountQueue: new QueueEntry(key),
    }
    entries.set(key, entry)
    byWindow.join(windowMs, entry.inWindowQueue)
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
      // After the end of the window this has no effect: the next request starts a new one.
      if (entry !== undefined && entry.count > 0) recount(entry, entry.count - 1)
    },

    reset,
  }
}
