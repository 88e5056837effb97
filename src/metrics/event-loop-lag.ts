const everyMs = 100

/** Tells every 100 ms by how many seconds the timer came late; it keeps no process alive. */
export const watchEventLoopLag = (tell: (seconds: number) => void): void => {
  let due = performance.now() + everyMs
  setInterval(() => {
    const now = performance.now()
    tell(Math.max(0, now - due) / 1000)
    due = now + everyMs
  }, everyMs).unref()
}
