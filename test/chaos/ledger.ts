/** A task as it was when its write was acknowledged. */
export type State = { version: number; title: string; completed: boolean } | 'gone'
type Entry = { known: State; possible: State[] }
type Task = { id: string; user_id: string } & Exclude<State, 'gone'>

/**
 * The acknowledged writes of one user, to compare with later responses. A write without a 2xx may have been executed or
 * not: both are right.
 */
export const createLedger = () => {
  const entries = new Map<string, Entry>()
  const unanswered = new Set<string>()

  return {
    size: () => entries.size,
    /** A task whose state is known completely. */
    any: (): { id: string; state: Exclude<State, 'gone'> } | undefined => {
      const ids = [...entries.keys()]
      for (let tries = 0; tries < 5; tries++) {
        const id = ids[Math.floor(Math.random() * ids.length)] ?? ''
        const entry = entries.get(id)
        if (entry !== undefined && entry.known !== 'gone' && entry.possible.length === 0)
          return { id, state: entry.known }
      }
      return undefined
    },
    acknowledged: (id: string, known: State) => void entries.set(id, { known, possible: [] }),
    unansweredChange: (id: string, after: State) => void entries.get(id)?.possible.push(after),
    unansweredCreation: (title: string) => void unanswered.add(title),

    /** Compares the ledger with all tasks, and continues with these. */
    audit: (tasks: Task[]): string[] => {
      const wrong: string[] = []
      const found = new Map(tasks.map((task) => [task.id, stateOf(task)]))
      if (new Set(tasks.map(({ title }) => title)).size !== tasks.length)
        wrong.push('a task was written twice')

      for (const [id, { known, possible }] of entries) {
        const actual = found.get(id) ?? 'gone'
        if (![known, ...possible].some((state) => equal(state, actual)))
          wrong.push(
            `task ${id}: acknowledged ${JSON.stringify(known)}, possible ${JSON.stringify(possible)}, found ${JSON.stringify(actual)}`,
          )
        if (actual === 'gone') entries.delete(id)
        else entries.set(id, { known: actual, possible: [] })
      }
      for (const { id, title, ...rest } of tasks) {
        if (entries.has(id)) continue
        if (!unanswered.has(title)) wrong.push(`task ${id}, ${title}: was never written`)
        entries.set(id, { known: stateOf({ id, title, ...rest }), possible: [] })
      }
      unanswered.clear()
      return wrong
    },
  }
}

const stateOf = ({ version, title, completed }: Task): State => ({ version, title, completed })

const equal = (a: State, b: State) => Bun.deepEquals(a, b)
