import { epochMs } from '../db/clock.ts'
import type { Notifications } from '../notifications/notifications.ts'
import type { DeliveryNeeds } from './delivery.ts'
import { createRunner } from './runner.ts'

type Needs = DeliveryNeeds & { notifications: Notifications }

/** How often to look for webhooks whose instance died: with the lease, another continues within 30 s. */
const pollMs = 8000
/** An idle instance that knows no webhook lets a serverless database sleep. */
const idlePollMsMax = 600_000
/** Idle: this long without a request. Another instance may have the only webhooks, and die. */
const idleAfterMs = 300_000
/** How long a stop waits for deliveries. Unfinished ones are repeated. */
const stopMsMax = 5000

/** Delivers to webhooks when their users have changed something. Requests never wait for it. */
export const createWebhookDispatcher = (needs: Needs) => {
  const { queue, notifications } = needs
  const runner = createRunner(needs)
  /** Users with enabled webhooks, as of the last poll. */
  let known = new Set<string>()
  let state = stateOf([])
  const pace = createPace()
  let polling: ReturnType<typeof setTimeout> | undefined
  let isStarted = false
  let isStopped = false
  let unsubscribe = () => {}

  const onChange = (userId: string): void => {
    if (known.has(userId)) runner.claimChanged(userId)
  }
  const listen = (): void => {
    unsubscribe()
    unsubscribe = isStarted && known.size > 0 ? notifications.onChange(onChange) : () => {}
  }

  const summarize = async (): Promise<void> => {
    const rows = await queue.summarize()
    known = new Set(rows.map(({ userId }) => userId))
    state = stateOf(rows)
    listen()
  }

  const poll = async (): Promise<void> => {
    polling = undefined
    try {
      await summarize()
      pace.polled(known.size)
    } catch {
      // The database is down: the next claim says so in the log.
    }
    if (known.size > 0) await runner.claim()
    schedule()
  }

  const schedule = (): void => {
    clearTimeout(polling)
    if (!isStarted || isStopped) return
    polling = setTimeout(() => void poll(), pace.pauseMs())
    polling.unref()
  }

  return {
    /** The user has a webhook that is new or enabled again. */
    watch: (userId: string): void => {
      known.add(userId)
      pace.noteActivity()
      schedule()
      listen()
      if (isStarted) runner.claimChanged(userId)
    },

    /** The database is in use, so that another statement does not wake it up. */
    noteActivity: (): void => {
      if (pace.noteActivity()) schedule()
    },

    start: (): void => {
      isStarted = true
      void poll()
    },

    /** Delivers what is due now, and waits for it. */
    flush: async (): Promise<void> => {
      await runner.claim()
      await runner.idle()
    },

    /** Webhooks that fail, and the age of their oldest change in seconds, as of the last poll. */
    state: () => state,

    /** Claims no more, and waits a short time for the deliveries that are running. */
    stop: async (): Promise<void> => {
      isStopped = true
      unsubscribe()
      clearTimeout(polling)
      runner.stop()
      await Promise.race([runner.idle(), Bun.sleep(stopMsMax)])
    },
  }
}

export type WebhookDispatcher = ReturnType<typeof createWebhookDispatcher>

/** How long to wait between two polls. */
const createPace = () => {
  let pauseMs = pollMs
  let activeAtMs = performance.now()
  return {
    pauseMs: () => pauseMs,
    polled: (known: number): void => {
      const isIdle = known === 0 && performance.now() - activeAtMs > idleAfterMs
      pauseMs = isIdle ? Math.min(pauseMs * 2, idlePollMsMax) : pollMs
    },
    /** Whether the pause is shorter now. */
    noteActivity: (): boolean => {
      activeAtMs = performance.now()
      const wasIdle = pauseMs > pollMs
      pauseMs = pollMs
      return wasIdle
    },
  }
}

type Row = Awaited<ReturnType<DeliveryNeeds['queue']['summarize']>>[number]

const stateOf = (rows: readonly Row[]) => {
  const [oldest] = rows.flatMap(({ failingSince }) => failingSince ?? []).sort()
  return {
    failing: rows.reduce((sum, { failing }) => sum + failing, 0),
    oldestSeconds: oldest === undefined ? 0 : (epochMs() - Date.parse(oldest)) / 1000,
  }
}
