import { DatabaseUnavailable } from '../errors.ts'

/** The time at which a statement is rejected. */
export type Deadline = {
  expired(): boolean
  /** Settles like `work`, or rejects with `DatabaseUnavailable` at the deadline. One `work` at a time. */
  race<Result>(work: PromiseLike<Result>): Promise<Result>
  clear(): void
}

type Pending = { atMs: number; expire: () => void }

/** All deadlines of the process that are neither cleared nor expired. They share one timer: one timer per statement had a measurable cost. */
const pending = new Set<Pending>()
let timer: ReturnType<typeof setTimeout> | undefined
let timerAtMs = Number.POSITIVE_INFINITY

/** The minimum timer interval: in an outage, many deadlines expire shortly after each other. */
const tickMs = 1
/** Deadlines this close expire together, so that a permit of the first is not given to the next. */
const slackMs = 1
/** `setTimeout` calls back after 1 ms if it is given more (24.8 days). */
const timerMsMax = 2 ** 31 - 1

const setTimer = (atMs: number, delayMsMin = 0) => {
  clearTimeout(timer)
  timerAtMs = atMs
  const delayMs = Math.max(delayMsMin, atMs - performance.now())
  timer = setTimeout(expireDue, Math.min(delayMs, timerMsMax))
}

const clearTimer = () => {
  clearTimeout(timer)
  timerAtMs = Number.POSITIVE_INFINITY
}

const expireDue = () => {
  const nowMs = performance.now()
  for (const one of pending) if (one.atMs <= nowMs + slackMs) one.expire()
  clearTimer()
  let next = Number.POSITIVE_INFINITY
  for (const { atMs } of pending) next = Math.min(next, atMs)
  if (pending.size > 0) setTimer(next, tickMs)
}

/** A deadline after `timeoutMs` from now. */
export const createDeadline = (timeoutMs: number): Deadline => {
  const atMs = performance.now() + timeoutMs
  let hasExpired = false
  let rejectWork = (_: Error) => {}
  const own = {
    atMs,
    expire: () => {
      pending.delete(own)
      hasExpired = true
      rejectWork(new DatabaseUnavailable('deadline'))
    },
  }
  pending.add(own)
  if (atMs < timerAtMs) setTimer(atMs)

  return {
    expired: () => hasExpired || performance.now() >= atMs - slackMs,
    race: <Result>(work: PromiseLike<Result>) =>
      new Promise<Result>((resolve, reject) => {
        rejectWork = reject
        work.then(resolve, reject)
        if (hasExpired) reject(new DatabaseUnavailable('deadline'))
      }),
    clear: () => {
      pending.delete(own)
      if (pending.size === 0) clearTimer()
    },
  }
}
