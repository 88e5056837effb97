/** For how many deadlines a patient statement may run, and the most that this may come to. */
const times = 6
const patientMsMax = 60_000

type Undertaking = { startedAtMs: number; isPatient: boolean }

/**
 * What the statement that is sent at this moment is sent for. Drizzle stands between who knows that
 * and who keeps the deadline, so it goes along with the call and not as an argument.
 *
 * It is there until `work` has returned its promise, in which time Drizzle and the drivers have asked
 * for it: an `AsyncLocalStorage` would keep it longer, and costs every promise of a statement.
 */
let undertaking: Undertaking | undefined

const sent = <Result>(mine: Undertaking, work: () => PromiseLike<Result>): Promise<Result> => {
  const before = undertaking
  undertaking = mine
  try {
    // A statement of Drizzle's is sent when it is asked for its result.
    return Promise.resolve(work().then((result) => result))
  } finally {
    undertaking = before
  }
}

/** A way to send statements that share one deadline, a second attempt too; it begins now. */
export const underOneDeadline = () => {
  const mine = {
    startedAtMs: performance.now(),
    isPatient: undertaking?.isPatient ?? false,
  }
  return <Result>(work: () => PromiseLike<Result>) => sent(mine, work)
}

/** For a statement whose size is its client's doing, such as an import: six deadlines, a minute at most. */
export const patiently = <Result>(work: () => PromiseLike<Result>): Promise<Result> =>
  sent({ startedAtMs: performance.now(), isPatient: true }, work)

/** For what had to wait before it could be sent: its deadline runs since it came. */
export const since = <Result>(
  startedAtMs: number,
  work: () => PromiseLike<Result>,
): Promise<Result> => sent({ startedAtMs, isPatient: false }, work)

/** How long the statement that is sent now may take in all, and how much of that is left. */
export const allowance = (timeoutMs: number) => {
  const isPatient = undertaking?.isPatient ?? false
  const longMs = Math.max(timeoutMs, Math.min(times * timeoutMs, patientMsMax))
  const wholeMs = isPatient ? longMs : timeoutMs
  const spentMs = undertaking ? performance.now() - undertaking.startedAtMs : 0
  return { isPatient, wholeMs, leftMs: wholeMs - spentMs }
}
