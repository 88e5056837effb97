import { AsyncLocalStorage } from 'node:async_hooks'

/** For how many deadlines a patient statement may run, and the most that this may come to. */
const times = 6
const patientMsMax = 60_000

type Undertaking = { startedAtMs: number; isPatient: boolean }

/**
 * What a statement is sent for. Drizzle stands between who knows that and who keeps the deadline, so it
 * goes along with the call and not as an argument.
 */
const undertakings = new AsyncLocalStorage<Undertaking>()

/** All that `work` sends shares one deadline, a second attempt too. */
export const underOneDeadline = <Result>(work: () => Promise<Result>): Promise<Result> => {
  const isPatient = undertakings.getStore()?.isPatient ?? false
  return undertakings.run({ startedAtMs: performance.now(), isPatient }, work)
}

/** For a statement whose size is its client's doing, such as an import: six deadlines, a minute at most. */
export const patiently = <Result>(work: () => Promise<Result>): Promise<Result> =>
  undertakings.run({ startedAtMs: performance.now(), isPatient: true }, work)

/** For what had to wait before it could be sent: its deadline runs since it came. */
export const since = <Result>(startedAtMs: number, work: () => Promise<Result>): Promise<Result> =>
  undertakings.run({ startedAtMs, isPatient: false }, work)

/** How long the statement that is sent now may take in all, and how much of that is left. */
export const allowance = (timeoutMs: number) => {
  const undertaking = undertakings.getStore()
  const isPatient = undertaking?.isPatient ?? false
  const longMs = Math.max(timeoutMs, Math.min(times * timeoutMs, patientMsMax))
  const wholeMs = isPatient ? longMs : timeoutMs
  const spentMs = undertaking ? performance.now() - undertaking.startedAtMs : 0
  return { isPatient, wholeMs, leftMs: wholeMs - spentMs }
}
