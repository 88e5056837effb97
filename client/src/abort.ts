/** The promise, unless the signal aborts first. The work itself goes on, as others may wait for it. */
export const abortable = <Result>(promise: Promise<Result>, signal: AbortSignal) =>
  new Promise<Result>((resolve, reject) => {
    const stop = () => reject(signal.reason)
    if (signal.aborted) stop()
    signal.addEventListener('abort', stop, { once: true })
    promise.then(resolve, reject).finally(() => signal.removeEventListener('abort', stop))
  })

/** Waits, unless the signal aborts first. */
export const sleep = (seconds: number, signal: AbortSignal): Promise<void> => {
  let timer: ReturnType<typeof setTimeout> | undefined
  const elapsed = new Promise<void>((resolve) => {
    timer = setTimeout(resolve, seconds * 1000)
  })
  return abortable(elapsed, signal).finally(() => clearTimeout(timer))
}
