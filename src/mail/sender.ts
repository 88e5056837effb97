import type { Log } from '../log.ts'
import type { Composer } from './compose.ts'
import type { Message, Outbox } from './outbox.ts'
import type { MailTransport } from './transport.ts'

type Needs = { outbox: Outbox; compose: Composer; transport: MailTransport; log: Log }

/**
 * How soon to look for messages after a request may have stored some, and how often at least: the pause doubles while
 * there are none, so that an idle service lets a serverless database sleep.
 */
const [pollMsMin, pollMsMax] = [2000, 600_000]
/** The time for one message, less than its lease (`outbox.ts`). */
const sendMsMax = 60_000
/** How long a stop waits for messages that are being sent. */
const stopMsMax = 5000
/** Pauses between attempts: 15 s, one minute, four, 16, and then an hour. */
const pauseSeconds = (attempts: number) => Math.min(15 * 4 ** (attempts - 1), 3600)
const abandonAfterMs = 86_400_000

/**
 * Sends the messages of the outbox: at least once, and once if nothing fails. A message whose attempts fail for a day is
 * abandoned. Requests never wait for it.
 */
export const createMailSender = ({ outbox, compose, transport, log }: Needs) => {
  let running: Promise<void> | undefined
  let timer: ReturnType<typeof setTimeout> | undefined
  let pauseMs = pollMsMin
  let isStarted = false
  let isStopped = false
  let isFailing = false

  const deliver = async (message: Message): Promise<void> => {
    const { template, id: message_id, attempts } = message
    const fields = { template, message_id, attempts }
    try {
      const mail = await compose(message)
      if (mail !== undefined) {
        await within(sendMsMax, transport.send(mail))
        log.info('mail sent', fields)
      }
      await outbox.remove(message)
    } catch (error) {
      if (Date.now() - Date.parse(message.created_at) < abandonAfterMs) {
        const seconds = pauseSeconds(attempts)
        log.warn('mail failed', { ...fields, error: reasonOf(error) })
        await outbox.postpone(message, seconds)
        pauseMs = Math.min(pauseMs, seconds * 1000)
      } else {
        log.error('mail abandoned', { ...fields, error: reasonOf(error) })
        await outbox.remove(message)
      }
    }
  }

  /** Sends what is due, until nothing is. */
  const sendDue = async (): Promise<void> => {
    pauseMs = Math.min(pauseMs * 2, pollMsMax)
    try {
      while (!isStopped) {
        const messages = await outbox.claim()
        isFailing = false
        if (messages.length === 0) return
        pauseMs = pollMsMin
        await Promise.all(messages.map(deliver))
      }
    } catch (error) {
      // The messages stay claimed until their lease ends. An outage is one line.
      if (!isFailing) log.warn('mail queue failed', { error })
      isFailing = true
    }
  }

  const run = (): Promise<void> => {
    running ??= sendDue().finally(() => {
      running = undefined
      schedule()
    })
    return running
  }

  const schedule = (): void => {
    clearTimeout(timer)
    if (!isStarted || isStopped) return
    timer = setTimeout(run, pauseMs)
    timer.unref()
  }

  return {
    /** A request may have stored a message. It is sent within two seconds, and not at once: see `password-reset`. */
    expect: (): void => {
      if (pauseMs === pollMsMin && timer !== undefined) return
      pauseMs = pollMsMin
      if (running === undefined) schedule()
    },
    /** Sends what is due now, and waits for it. */
    flush: run,
    start: (): void => {
      isStarted = true
      void run()
    },
    /** Claims no more messages, and waits a short time for those that are being sent. */
    stop: async (): Promise<void> => {
      isStopped = true
      clearTimeout(timer)
      await Promise.race([running, Bun.sleep(stopMsMax)])
    },
  }
}

export type MailSender = ReturnType<typeof createMailSender>

const within = async <Result>(ms: number, work: Promise<Result>): Promise<Result> => {
  let timer: ReturnType<typeof setTimeout> | undefined
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(Object.assign(new Error('late'), { code: 'deadline' })), ms)
  })
  try {
    return await Promise.race([work, late])
  } finally {
    clearTimeout(timer)
  }
}

/** Class and code of an error, and the server's reply code: its text may contain the address. */
const reasonOf = (error: unknown) => {
  const { name, code, responseCode } = error as Error & { code?: unknown; responseCode?: unknown }
  return { name, code: [code, responseCode].filter((one) => one !== undefined).join(' ') }
}
