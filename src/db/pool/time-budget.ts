/** A long statement may take this many deadlines, up to a maximum. */
const longDeadlines = 6
const longMsMax = 60_000

type TimeBudget = { startedAtMs: number; isLong: boolean }

/**
 * The budget of the statement that is being sent. Drizzle is between the caller, which knows it, and the pool, which
 * enforces it, so it cannot be an argument.
 *
 * It is set until `work` returns its promise; by then Drizzle has called the pool. An `AsyncLocalStorage` would add a
 * cost to every promise of a statement.
 */
let current: TimeBudget | undefined

const runWith = <Result>(budget: TimeBudget, work: () => PromiseLike<Result>): Promise<Result> => {
  const before = current
  current = budget
  try {
    // Drizzle sends a statement when `then` is called.
    return Promise.resolve(work().then((result) => result))
  } finally {
    current = before
  }
}

/** Returns a function that runs statements under one deadline, which starts now: a statement and its retry share it. */
export const withSharedDeadline = () => {
  const budget = { startedAtMs: performance.now(), isLong: current?.isLong ?? false }
  return <Result>(work: () => PromiseLike<Result>) => runWith(budget, work)
}

/** For statements whose size the client decides, such as an import: six deadlines, at most a minute. */
export const withLongDeadline = <Result>(work: () => PromiseLike<Result>): Promise<Result> =>
  runWith({ startedAtMs: performance.now(), isLong: true }, work)

/** For a statement that waited before it was sent: its deadline starts at the given time. */
export const withDeadlineSince = <Result>(
  startedAtMs: number,
  work: () => PromiseLike<Result>,
): Promise<Result> => runWith({ startedAtMs, isLong: false }, work)

/** The total time of the statement that is being sent, and what is left of it. */
export const currentTimeBudget = (timeoutMs: number) => {
  const isLong = current?.isLong ?? false
  const longMs = Math.max(timeoutMs, Math.min(longDeadlines * timeoutMs, longMsMax))
  const totalMs = isLong ? longMs : timeoutMs
  const spentMs = current ? performance.now() - current.startedAtMs : 0
  return { isLong, totalMs, leftMs: totalMs - spentMs }
}
