const pauseMsMin = 500
const pauseMsMax = 30_000
/** A worker that ran for this long has not failed at its start. */
const stableMs = 60_000

/** How long to wait before a worker is started again, in milliseconds: twice as long after each short run. */
export const createRestartPause = () => {
  let pauseMs = pauseMsMin
  return {
    next: (ranMs: number): number => {
      if (ranMs >= stableMs) pauseMs = pauseMsMin
      const next = pauseMs
      pauseMs = Math.min(pauseMs * 2, pauseMsMax)
      return next
    },
  }
}
