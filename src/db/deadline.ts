import { DatabaseUnavailable } from './faults.ts'

/** The moment at which a statement's caller is told to give up. */
export type Deadline = {
  expired(): boolean
  /** Ends as `work` does, or at the deadline with `DatabaseUnavailable`; one work at a time. */
  race<Result>(work: PromiseLike<Result>): Promise<Result>
  clear(): void
}

type Open = { atMs: number; pass: () => void }

/** Every deadline of the process that is neither cleared nor passed. */
const open = new Set<Open>()
let timer: ReturnType<typeof setTimeout> | undefined
let timerAtMs = Number.POSITIVE_INFINITY

/** In an outage deadlines pass one behind the other: they are looked at so often, and no oftener. */
const tickMs = 1
/** Those of one moment pass together: a turn that the first gives up is not for the next. */
const slackMs = 1

const setTimer = (atMs: number, leastMs = 0) => {
  clearTimeout(timer)
  timerAtMs = atMs
  timer = setTimeout(passDue, Math.max(leastMs, atMs - performance.now()))
}

const clearTimer = () => {
  clearTimeout(timer)
  timerAtMs = Number.POSITIVE_INFINITY
}

const passDue = () => {
  const nowMs = performance.now()
  for (const one of open) if (one.atMs <= nowMs + slackMs) one.pass()
  clearTimer()
  let next = Number.POSITIVE_INFINITY
  for (const { atMs } of open) next = Math.min(next, atMs)
  if (open.size > 0) setTimer(next, tickMs)
}

/** All share one timer: one for each statement was measurable. */
export const deadlineAfter = (timeoutMs: number): Deadline => {
  const atMs = performance.now() + timeoutMs
  let told = false
  let tell = (_: Error) => {}
  const mine = {
    atMs,
    pass: () => {
      open.delete(mine)
      told = true
      tell(new DatabaseUnavailable('deadline'))
    },
  }
  open.add(mine)
  if (atMs < timerAtMs) setTimer(atMs)

  return {
    expired: () => told || performance.now() >= atMs - slackMs,
    race: <Result>(work: PromiseLike<Result>) =>
      new Promise<Result>((resolve, reject) => {
        tell = reject
        work.then(resolve, reject)
        if (told) reject(new DatabaseUnavailable('deadline'))
      }),
    clear: () => {
      open.delete(mine)
      if (open.size === 0) clearTimer()
    },
  }
}
