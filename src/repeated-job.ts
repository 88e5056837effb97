type Job = {
  work: () => Promise<void>
  /** Milliseconds from the end of one run to the next. */
  pauseMs: () => number
}

/** How long a stop waits for a run. */
const stopMsMax = 5000

/** Work that is repeated while the process lives, never twice at once. */
export const createRepeatedJob = ({ work, pauseMs }: Job) => {
  let running: Promise<void> | undefined
  let timer: ReturnType<typeof setTimeout> | undefined
  let isStarted = false
  let isStopped = false

  const run = (): Promise<void> => {
    running ??= work().finally(() => {
      running = undefined
      schedule()
    })
    return running
  }

  const schedule = (): void => {
    clearTimeout(timer)
    if (!isStarted || isStopped) return
    timer = setTimeout(() => void run(), pauseMs())
    timer.unref()
  }

  return {
    /** Works now, and waits for it. */
    run,
    /** The pause has changed: it begins again. */
    reschedule: (): void => {
      if (running === undefined) schedule()
    },
    isStopped: () => isStopped,
    start: (): void => {
      isStarted = true
      void run()
    },
    /** Starts no more, and waits a short time for what is running. */
    stop: async (): Promise<void> => {
      isStopped = true
      clearTimeout(timer)
      await Promise.race([running, Bun.sleep(stopMsMax)])
    },
  }
}
