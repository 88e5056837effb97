/** How long a file may keep the event loop from other requests, in milliseconds. */
const turnMs = 10

/** Returns a function that lets the event loop serve other requests when a turn is over. */
export const createTurns = () => {
  let startedAt = performance.now()
  return async (): Promise<void> => {
    if (performance.now() - startedAt < turnMs) return
    await Bun.sleep(0)
    startedAt = performance.now()
  }
}
