import { createRepeatedJob } from '../repeated-job.ts'
import { createDelivery, type DeliveryNeeds } from './delivery.ts'

/**
 * How soon to look for messages after a request may have stored some, and how often at least: the pause doubles while
 * there are none, so that an idle service lets a serverless database sleep.
 */
const [pollMsMin, pollMsMax] = [2000, 600_000]

/**
 * Sends the messages of the outbox: at least once, and once if nothing fails. A message whose attempts fail for a day is
 * abandoned. Requests never wait for it.
 */
export const createMailSender = (needs: DeliveryNeeds) => {
  const { outbox, log } = needs
  const deliver = createDelivery(needs)
  let pauseMs = pollMsMin
  let isFailing = false

  /** Sends what is due, until nothing is. */
  const sendDue = async (): Promise<void> => {
    pauseMs = Math.min(pauseMs * 2, pollMsMax)
    try {
      while (!job.isStopped()) {
        const messages = await outbox.claim()
        isFailing = false
        if (messages.length === 0) return
        pauseMs = pollMsMin
        const postponedSeconds = await deliver(messages)
        pauseMs = Math.min(pauseMs, postponedSeconds * 1000)
      }
    } catch (error) {
      // The messages stay claimed until their lease ends. An outage is one line.
      if (!isFailing) log.warn('mail queue failed', { error })
      isFailing = true
    }
  }

  const job = createRepeatedJob({ work: sendDue, pauseMs: () => pauseMs })

  return {
    /** A request may have stored a message. It is sent within two seconds, and not at once: see `password-reset`. */
    pollSoon: (): void => {
      if (pauseMs === pollMsMin) return
      pauseMs = pollMsMin
      job.reschedule()
    },
    /** Sends what is due now, and waits for it. */
    flush: job.run,
    start: job.start,
    /** Claims no more messages, and waits a short time for those that are being sent. */
    stop: job.stop,
  }
}

export type MailSender = ReturnType<typeof createMailSender>
