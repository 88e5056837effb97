import { epochMs } from '../db/clock.ts'
import type { Notifications } from '../notifications/notifications.ts'
import type { DeliveryNeeds } from './delivery.ts'
import { createRunner } from './runner.ts'

type Needs = DeliveryNeeds & { notifications: Notifications }

/** How often to look for webhooks whose instance died: with the lease, another continues within 30 s. */
const pollMs = 8000
/** Without any webhook, an idle service lets a serverless database sleep. */
const idlePollMsMax = 600_000
/** How long a stop waits for deliveries. Unfinished ones are repeated. */
const stopMsMax = 5000

/** Delivers to webhooks when their users have changed something. Requests never wait for it. */
export const createWebhookDispatcher = (needs: Needs) => {
  const { queue, log, notifications } = needs
  const runner = createRunner(needs)
  /** Users with enabled webhooks, as of the last poll. */
  let known = new Set<string>()
  let state = stateOf([])
  let pauseMs = pollMs
  let polling: ReturnType<typeof setTimeout> | undefined
  let isStarted = false
  let isStopped = false
  let isFailing = false
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
      pauseMs = known.size > 0 ? pollMs : Math.min(pauseMs * 2, idlePollMsMax)
      isFailing = false
    } catch (error) {
      if (!isFailing) log.warn('webhook queue failed', { error })
      isFailing = true
    }
    if (known.size > 0) await runner.claim()
    schedule()
  }

  const schedule = (): void => {
    clearTimeout(polling)
    if (!isStarted || isStopped) return
    polling = setTimeout(() => void poll(), pauseMs)
    polling.unref()
  }

  return {
    /** The user has a webhook that is new or enabled again. */
    watch: (userId: string): void => {
      known.add(userId)
      pauseMs = pollMs
      schedule()
      listen()
      if (isStarted) runner.claimChanged(userId)
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

type Row = Awaited<ReturnType<DeliveryNeeds['queue']['summarize']>>[number]

const stateOf = (rows: readonly Row[]) => {
  const [oldest] = rows.flatMap(({ failingSince }) => failingSince ?? []).sort()
  return {
    failing: rows.reduce((sum, { failing }) => sum + failing, 0),
    oldestSeconds: oldest === undefined ? 0 : (epochMs() - Date.parse(oldest)) / 1000,
  }
}
