/** A key's place in a ring; alone in it at first. */
export class Place {
  readonly key: string
  before: Place = this
  after: Place = this

  constructor(key: string) {
    this.key = key
  }
}

/**
 * Numbered queues of places. Joining, leaving and looking at a head take constant
 * time; the head of a JavaScript `Set` does not: it walks over what was deleted
 * (290 µs each, measured with 100 000 keys).
 */
export const queues = () => {
  /** Each queue is a ring closed by a place of nobody: the head is after it, the tail before it. */
  const ends = new Map<number, Place>()
  let size = 0

  const endOf = (number: number) => {
    const end = ends.get(number) ?? new Place('')
    ends.set(number, end)
    return end
  }

  const headOf = (end: Place | undefined) => (end === end?.after ? undefined : end?.after.key)

  return {
    join(number: number, place: Place) {
      const end = endOf(number)
      place.before = end.before
      place.after = end
      end.before.after = place
      end.before = place
      size += 1
    },

    /** Nothing, if it stands in no queue. */
    leave(place: Place) {
      if (place.after === place) return
      place.before.after = place.after
      place.after.before = place.before
      place.before = place
      place.after = place
      size -= 1
    },

    heads: () => [...ends.values()].flatMap((end) => headOf(end) ?? []),

    /** The head of the queue with the lowest number from 0 up; undefined if all are empty. */
    lowest() {
      if (size === 0) return undefined
      for (let number = 0; ; number += 1) {
        const head = headOf(ends.get(number))
        if (head !== undefined) return head
      }
    },
  }
}
