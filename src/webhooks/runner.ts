import { createDelivery, type DeliveryNeeds } from './delivery.ts'
import type { Claim } from './queue.ts'

/** Webhooks that one instance delivers to at once. */
const concurrentMax = 100
/** A retry that is due sooner does not wait for the next poll. */
const soonSeconds = 60

/** Claims webhooks, and delivers to them at the same time: one failing receiver does not delay another. */
export const createRunner = (needs: DeliveryNeeds) => {
  const { queue, log } = needs
  const deliver = createDelivery(needs)
  const running = new Map<string, { userId: string; done: Promise<void> }>()
  /** Users of running deliveries that have changed again. */
  const changed = new Set<string>()
  const timers = new Set<ReturnType<typeof setTimeout>>()
  let isStopped = false
  let isFailing = false

  const allDone = () => Promise.all([...running.values()].map(({ done }) => done))

  const claimLater = (userId: string, seconds: number) => {
    const timer = setTimeout(() => {
      timers.delete(timer)
      void claim(userId)
    }, seconds * 1000)
    timer.unref()
    timers.add(timer)
  }

  const run = async (claimed: Claim): Promise<void> => {
    const { user_id, id } = claimed
    let seconds: number | undefined
    try {
      seconds = await deliver(claimed)
    } catch (error) {
      // The claim ends by itself.
      log.warn('webhook delivery failed', { webhook_id: id, user_id, error })
    }
    running.delete(id)
    if (seconds !== undefined && seconds < soonSeconds) claimLater(user_id, seconds)
    // A change that came between the last read and the release.
    if (changed.delete(user_id)) await claim(user_id)
  }

  /** Claims what is due, of any user or of one, and delivers in the background. */
  const claim = async (userId?: string): Promise<void> => {
    try {
      while (!isStopped) {
        const free = concurrentMax - running.size
        if (free <= 0) return
        const claims = await queue.claim(free, userId)
        isFailing = false
        for (const one of claims) running.set(one.id, { userId: one.user_id, done: run(one) })
        if (claims.length < free) return
      }
    } catch (error) {
      // An outage is one line.
      if (!isFailing) log.warn('webhook queue failed', { error })
      isFailing = true
    }
  }

  return {
    claim,
    /** The user has changed something. */
    claimChanged: (userId: string): void => {
      if ([...running.values()].some((one) => one.userId === userId)) changed.add(userId)
      void claim(userId)
    },
    /** Waits until nothing is being delivered. */
    idle: async (): Promise<void> => {
      while (running.size > 0) await allDone()
    },
    /** Claims no more. Deliveries that are running go on. */
    stop: (): void => {
      isStopped = true
      for (const timer of timers) clearTimeout(timer)
    },
  }
}
