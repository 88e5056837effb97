import { readConfig } from '../../config/config.ts'
import { createLog } from '../../log.ts'
import type { MetricsSnapshot } from '../../metrics/fleet.ts'
import type { Command } from '../command-context.ts'
import { exitCodes, UsageError } from '../exit-codes.ts'
import { runService } from '../serve.ts'
import { stopOnSignal } from '../stop-on-signal.ts'
import { openChannel, type SupervisorFunctions, type WorkerFunctions } from './channel.ts'
import { shareOf } from './share.ts'
import { createSupervisorStore } from './supervisor-store.ts'

/** One of the processes of `WORKERS`. It also drains and ends when its supervisor is gone. */
export const worker: Command = async (_args, context) => {
  const { parent } = context
  if (parent === undefined) throw new UsageError('worker is started by serve; set WORKERS')

  let readMetrics = async (): Promise<MetricsSnapshot> => []
  const functions: WorkerFunctions = { ping: () => {}, metrics: () => readMetrics() }
  const supervisor = openChannel<SupervisorFunctions, WorkerFunctions>(functions, parent)
  const place = await supervisor.hello()
  const config = shareOf(readConfig(context.env), place)
  const log = createLog(context.print, config.log.level, { worker: place.worker })

  await runService({
    config,
    log,
    onListening: (url) => void supervisor.listening.asEvent(url.href),
    onReady: () => void supervisor.ready.asEvent(),
    onSignal: stopOnSignal({
      onSignal: (handler) => {
        context.onSignal(handler)
        parent.onEnd(handler)
      },
      exit: context.exit,
    }),
    sharedCounters: createSupervisorStore(supervisor),
    fleet: {
      worker: place.worker,
      provide: (read) => {
        readMetrics = read
      },
      collect: () => supervisor.metrics(),
    },
  })
  return exitCodes.done
}
