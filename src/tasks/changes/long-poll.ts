import type { Principal } from '../../db/user-scope.ts'
import type { Notifications } from '../../notifications/notifications.ts'

/** What a response that waits needs from the server. */
export type Waiting = {
  /** Aborts when the process stops. */
  stopSignal: AbortSignal
  /** The connection of a request may be idle for this many seconds. */
  extendIdleTimeout: (request: Request, seconds: number) => void
}

type Needs = Waiting & { notifications: Notifications }
type Poll<Result> = {
  principal: Principal
  request: Request
  waitSeconds: number
  read: () => Promise<Result>
  /** The number of the last change in a result. */
  seen: (result: Result) => number
  hasNews: (result: Result) => boolean
}

/** Between the end of the wait and that of the connection, for the last statement. */
const marginSeconds = 30

/**
 * Returns the function that reads until there is news, the time has passed, the client is gone or the process stops. It
 * subscribes before it reads, so that no change falls between.
 */
export const createLongPoll =
  ({ notifications, stopSignal, extendIdleTimeout }: Needs) =>
  async <Result>(poll: Poll<Result>): Promise<Result> => {
    const { principal, request, waitSeconds, read, seen, hasNews } = poll
    if (waitSeconds === 0) return read()

    extendIdleTimeout(request, waitSeconds + marginSeconds)
    let last = 0
    let wake = Promise.withResolvers<void>()
    const unsubscribe = notifications.subscribe({
      ...principal,
      seen: () => last,
      wake: () => wake.resolve(),
    })
    let isOver = false
    const end = () => {
      isOver = true
      wake.resolve()
    }
    const timer = setTimeout(end, waitSeconds * 1000)
    const ends = [stopSignal, request.signal]
    for (const signal of ends) signal.addEventListener('abort', end)
    if (ends.some(({ aborted }) => aborted)) end()
    try {
      for (;;) {
        const result = await read()
        last = seen(result)
        if (isOver || hasNews(result)) return result
        await wake.promise
        wake = Promise.withResolvers()
      }
    } finally {
      clearTimeout(timer)
      for (const signal of ends) signal.removeEventListener('abort', end)
      unsubscribe()
    }
  }

export type LongPoll = ReturnType<typeof createLongPoll>
