import type { CommandContext } from './command-context.ts'
import { exitCodes } from './exit-codes.ts'

/**
 * Returns a function that settles when `stop` has finished after a signal. A second signal exits at once, after
 * `beforeExit`.
 */
export const stopOnSignal =
  (context: Pick<CommandContext, 'onSignal' | 'exit'>, beforeExit = () => {}) =>
  (stop: () => Promise<void>): Promise<void> => {
    const { promise, resolve } = Promise.withResolvers<void>()
    let signalledAtMs: number | undefined
    context.onSignal(() => {
      if (signalledAtMs === undefined) {
        signalledAtMs = performance.now()
        resolve(stop())
        // A Ctrl-C arrives twice if a runner forwards what the terminal has already sent.
      } else if (performance.now() - signalledAtMs > 1000) {
        beforeExit()
        context.exit(exitCodes.interrupted)
      }
    })
    return promise
  }
