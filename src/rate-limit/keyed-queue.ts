/** An entry of a doubly linked ring; it starts alone. */
export class QueueEntry {
  readonly key: string
  before: QueueEntry = this
  after: QueueEntry = this

  constructor(key: string) {
    this.key = key
  }
}

/**
 * Numbered FIFO queues. Joining, leaving and reading a head take constant time. The first element of a JavaScript
 * `Set` does not: it skips deleted entries (290 µs with 100 000 keys).
 */
export const createKeyedQueue = () => {
  /** Each queue is a ring with a sentinel: the head follows it, the tail precedes it. */
  const ends = new Map<number, QueueEntry>()
  let size = 0

  const endOf = (number: number) => {
    const end = ends.get(number) ?? new QueueEntry('')
    ends.set(number, end)
    return end
  }

  const headOf = (end: QueueEntry | undefined) => (end === end?.after ? undefined : end?.after.key)

  return {
    join(number: number, entry: QueueEntry) {
      const end = endOf(number)
      entry.before = end.before
      entry.after = end
      end.before.after = entry
      end.before = entry
      size += 1
    },

    /** Has no effect if the entry is in no queue. */
    leave(entry: QueueEntry) {
      if (entry.after === entry) return
      entry.before.after = entry.after
      entry.after.before = entry.before
      entry.before = entry
      entry.after = entry
      size -= 1
    },

    heads: () => [...ends.values()].flatMap((end) => headOf(end) ?? []),

    /** The head of the non-empty queue with the lowest number; undefined if all are empty. */
    lowest() {
      if (size === 0) return undefined
      for (let number = 0; ; number += 1) {
        const head = headOf(ends.get(number))
        if (head !== undefined) return head
      }
    },
  }
}
