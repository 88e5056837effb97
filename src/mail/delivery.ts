import type { Log } from '../log.ts'
import type { Composer } from './compose.ts'
import { leaseSeconds, type Message, type Outbox } from './outbox.ts'
import type { MailTransport } from './transport.ts'

export type DeliveryNeeds = {
  outbox: Outbox
  compose: Composer
  transport: MailTransport
  log: Log
}

/** The time for one message, less than its lease. */
const sendMsMax = 60_000
/** Pauses between attempts: 15 s, one minute, four, 16, and then an hour. */
const pauseSeconds = (attempts: number) => Math.min(15 * 4 ** (attempts - 1), 3600)
const abandonAfterMs = 86_400_000

/**
 * Returns the function that delivers claimed messages, and returns after how many seconds the first failed one is due
 * again (infinity if none failed).
 *
 * Messages to one address are sent one after the other, because the link of a newer one replaces the older: the last one
 * in the inbox works. What would outlive its lease is left for the next claim.
 */
export const createDelivery = ({ outbox, compose, transport, log }: DeliveryNeeds) => {
  /** Returns the seconds until the next attempt. */
  const deliver = async (message: Message): Promise<number> => {
    const { template, id: message_id, attempts } = message
    const fields = { template, message_id, attempts }
    try {
      const mail = await compose(message)
      if (mail !== undefined) {
        await within(sendMsMax, transport.send(mail))
        log.info('mail sent', fields)
      }
      await outbox.remove(message)
      return Number.POSITIVE_INFINITY
    } catch (error) {
      if (Date.now() - Date.parse(message.created_at) < abandonAfterMs) {
        const seconds = pauseSeconds(attempts)
        log.warn('mail failed', { ...fields, error: reasonOf(error) })
        await outbox.postpone(message, seconds)
        return seconds
      }
      log.error('mail abandoned', { ...fields, error: reasonOf(error) })
      await outbox.remove(message)
      return Number.POSITIVE_INFINITY
    }
  }

  return async (messages: Message[]): Promise<number> => {
    const latestMs = performance.now() + leaseSeconds * 1000 - sendMsMax
    const inOrder = messages.toSorted((a, b) => (a.id < b.id ? -1 : 1))
    const perAddress = Map.groupBy(inOrder, ({ recipient }) => recipient)
    const pauses = await Promise.all(
      [...perAddress.values()].map(async (group) => {
        let pause = Number.POSITIVE_INFINITY
        for (const message of group)
          if (performance.now() < latestMs) pause = Math.min(pause, await deliver(message))
        return pause
      }),
    )
    return Math.min(...pauses)
  }
}

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
