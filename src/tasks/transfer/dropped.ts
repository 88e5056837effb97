/** Members of another program without a counterpart here, and how many tasks have each. */
export type DroppedMember = { member: string; count: number }

/** Counts what an import does not keep. */
export const createDropped = () => {
  const counts = new Map<string, number>()
  const add = (member: string): void => {
    counts.set(member, (counts.get(member) ?? 0) + 1)
  }
  return {
    /** One task has a value that is not kept. */
    add,

    /** The members of an object that are neither `kept` nor empty. */
    addOthers(object: object, kept: ReadonlySet<string>): void {
      for (const [member, value] of Object.entries(object))
        if (!kept.has(member) && !isEmpty(value)) add(member)
    },

    /** The most frequent first. */
    all: (): DroppedMember[] =>
      [...counts]
        .map(([member, count]) => ({ member, count }))
        .sort((a, b) => b.count - a.count || (a.member < b.member ? -1 : 1)),
  }
}

export type Dropped = ReturnType<typeof createDropped>

/** Go programs write the year 1 for a time that is not set. */
const unset = '0001-01-01T00:00:00Z'

const isEmpty = (value: unknown): boolean => {
  if (typeof value === 'object' && value !== null) return Object.values(value).every(isEmpty)
  return (
    value === null ||
    value === undefined ||
    value === '' ||
    value === false ||
    value === 0 ||
    value === unset
  )
}
