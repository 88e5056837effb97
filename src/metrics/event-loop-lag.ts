const intervalMs = 100

/** Reports every 100 ms how late the timer fired, in seconds. It does not keep the process alive. */
export const watchEventLoopLag = (report: (seconds: number) => void): void => {
  let due = performance.now() + intervalMs
  setInterval(() => {
    const now = performance.now()
    report(Math.max(0, now - due) / 1000)
    due = now + intervalMs
  }, intervalMs).unref()
}
