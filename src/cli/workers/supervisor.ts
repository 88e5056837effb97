import type { Config } from '../../config/config.ts'
import { findSharedPort } from '../../http/server.ts'
import type { Log } from '../../log.ts'
import { createMemoryStore } from '../../rate-limit/memory.ts'
import { RateLimitStoreUnavailable } from '../../rate-limit/store.ts'
import type { CommandContext } from '../command-context.ts'
import { exitCodes } from '../exit-codes.ts'
import { stopOnSignal } from '../stop-on-signal.ts'
import type { SupervisorFunctions } from './channel.ts'
import { createRestartPause } from './restart-pause.ts'
import { type Ending, startWorker, type WorkerProcess } from './worker-process.ts'

type Needs = {
  config: Config
  log: Log
  context: CommandContext
  /** Prints a line of the log of a worker. */
  write: (line: string) => void
  onListening: (url: URL) => void
  onReady: () => void
}

/**
 * Runs `WORKERS` processes on one port, and returns the exit code. A worker that ends is started again; a signal
 * drains all of them. If the first one fails before it listens, the others would too, and the service ends.
 *
 * This process serves no request. It counts for the limits in memory, and collects the metrics.
 */
export const supervise = async ({ config, log, context, write, ...needs }: Needs) => {
  const { workers } = config
  const port = await findSharedPort(config)
  const running = new Map<number, WorkerProcess>()
  const stopping = Promise.withResolvers<void>()
  let isStopping = false
  let restarts = 0
  const killAll = (signal: NodeJS.Signals) => {
    for (const { kill } of running.values()) kill(signal)
  }
  const stopped = stopOnSignal(context, () => killAll('SIGKILL'))(async () => {
    isStopping = true
    stopping.resolve()
    killAll('SIGTERM')
    await Promise.all([...running.values()].map(({ ended }) => ended))
    log.info('stopped')
  })

  const isListening = Promise.withResolvers<void>()
  const onListening = whenAll<string>(workers, (url) => needs.onListening(new URL(url)))
  const onReady = whenAll<void>(workers, needs.onReady)
  const counting = createCounting()
  const functionsOf = (worker: number): SupervisorFunctions => ({
    ...counting,
    hello: () => ({ worker, workers, port }),
    listening: (url) => {
      isListening.resolve()
      onListening(worker, url)
    },
    ready: () => onReady(worker),
    metrics: async () => {
      const asked = await Promise.all([...running.values()].map(({ metrics }) => metrics()))
      const snapshots = asked.filter((snapshot) => snapshot !== undefined)
      return { snapshots, running: running.size, restarts }
    },
  })

  const begin = (worker: number) => {
    const started = startWorker({ functions: functionsOf(worker), env: context.env, write })
    running.set(worker, started)
    void started.ended.then(() => running.delete(worker))
    return started
  }
  /** Starts a worker again whenever it ends, until the service stops. */
  const keep = async (worker: number, started = begin(worker)) => {
    const pause = createRestartPause()
    for (let current = started; ; current = begin(worker)) {
      const ending = await current.ended
      if (isStopping) return
      const restart_ms = pause.next(current.ranMs())
      log.error('worker ended', { worker, ...ending, restart_ms })
      await Promise.race([Bun.sleep(restart_ms), stopping.promise])
      if (isStopping) return
      restarts++
    }
  }

  const first = begin(1)
  const failure = await Promise.race<Ending | undefined>([
    isListening.promise.then(() => undefined),
    first.ended,
  ])
  if (failure && !isStopping) return failure.code || exitCodes.failed
  if (!isStopping) {
    const others = Array.from({ length: workers - 1 }, (_, index) => keep(index + 2))
    await Promise.all([keep(1, first), ...others])
  }
  await stopped
  return exitCodes.done
}

/** Calls `tell` once, when it was called for each worker, with what the last one said. */
const whenAll = <Said>(workers: number, tell: (said: Said) => void) => {
  const done = new Set<number>()
  let isTold = false
  return (worker: number, said: Said) => {
    done.add(worker)
    if (isTold || done.size < workers) return
    isTold = true
    tell(said)
  }
}

/** The counters of all workers. */
const createCounting = (): Pick<SupervisorFunctions, 'add' | 'decrement' | 'reset'> => {
  const { add, decrement, reset } = createMemoryStore()
  return {
    add: (...args) => {
      try {
        return add(...args)
      } catch (error) {
        if (error instanceof RateLimitStoreUnavailable) return { unavailable: error.code }
        throw error
      }
    },
    decrement,
    reset,
  }
}
