import { addSeconds, now } from '../db/clock.ts'
import type { Log } from '../log.ts'
import type { Entry } from '../tasks/changes/entries.ts'
import type { ChangesReader } from '../tasks/changes/repository.ts'
import { type Message, toMessage } from './message.ts'
import type { Claim, WebhookQueue } from './queue.ts'
import { secondsUntilRetry } from './retries.ts'
import type { Outcome, Send } from './send.ts'

export type DeliveryNeeds = {
  queue: WebhookQueue
  readChanges: ChangesReader
  send: Send
  log: Log
}

/** Changes per statement. */
const pageSize = 20
/** Then the webhook is released, so that others get their turn. */
const turnMs = 10_000

/** The secrets that sign at this time. */
export const secretsOf = ({
  secret,
  previous_secret,
  previous_until,
}: Pick<Claim, 'secret' | 'previous_secret' | 'previous_until'>): string[] =>
  previous_secret !== null && previous_until !== null && previous_until > now()
    ? [secret, previous_secret]
    : [secret]

/**
 * Returns the function that delivers the changes of a claimed webhook in their order, one at a time, until there are no
 * more or one fails. It returns the seconds until the next attempt; undefined if none is needed.
 */
export const createDelivery = ({ queue, readChanges, send, log }: DeliveryNeeds) => {
  const handleFailure = async (claim: Claim, message: Message, outcome: Outcome) => {
    const { status, detail } = outcome
    const since = message.timestamp
    const attempts = claim.attempts + 1
    const seconds =
      status === 410 ? undefined : secondsUntilRetry(attempts, outcome.retryAfterSeconds)
    const fields = { webhook_id: claim.id, user_id: claim.user_id, status, detail, attempts }
    const disabledReason = status === 410 ? ('gone' as const) : ('failed' as const)
    const next =
      seconds === undefined ? { disabledReason } : { nextAttemptAt: addSeconds(now(), seconds) }
    if (!(await queue.fail(claim, { outcome, since, next }))) return undefined
    if (seconds === undefined) log.warn('webhook disabled', { ...fields, reason: disabledReason })
    else log.info('webhook failed', fields)
    return seconds
  }

  /** Delivers one change. `isDone`: the next one may follow. */
  const deliver = async (claim: Claim, entry: Entry) => {
    const message = toMessage(claim.id, entry)
    const isWanted = claim.events.some((event) => event === message.type)
    if (!isWanted) return { isDone: true }
    const outcome = await send({ url: claim.url, secrets: secretsOf(claim) }, message)
    if (!outcome.ok) return { isDone: false, seconds: await handleFailure(claim, message, outcome) }
    claim.attempts = 0
    log.debug('webhook delivered', { webhook_id: claim.id, user_id: claim.user_id })
    return { isDone: await queue.advance(claim, entry, true) }
  }

  return async (claim: Claim): Promise<number | undefined> => {
    const untilMs = performance.now() + turnMs
    let since = { number: claim.change, id: claim.change_id, fresh: 0, lists: false }
    for (;;) {
      const page = await readChanges(claim.user_id, { limit: pageSize, since, sessionIds: [] })
      if (page === undefined) return undefined
      for (const entry of page.entries) {
        const { isDone, seconds } = await deliver(claim, entry)
        if (!isDone) return seconds
      }
      since = page.progress
      if (!(await queue.advance(claim, since, false))) return undefined
      if (!page.has_more || performance.now() > untilMs) break
    }
    await queue.release(claim)
    return undefined
  }
}
