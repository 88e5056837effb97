import type { Log } from '../log.ts'

type Needs = {
  /** Sends one message. */
  send: (userIds: string[]) => Promise<void>
  log: Log
}

/** The users of one interval are sent together. The first is sent at once. */
const intervalMs = 20
/** A message of PostgreSQL has less than 8 000 bytes. */
const usersPerMessage = 150
/** While the channel is slower than the writes, further users are left to the poll. */
const pendingMax = 10_000

/** Collects the users that have changed, and sends them. What cannot be sent is left to the poll. */
export const createPublisher = ({ send, log }: Needs) => {
  const pending = new Set<string>()
  let timer: ReturnType<typeof setTimeout> | undefined
  let sentAtMs = 0
  let isFailing = false

  const flush = async (): Promise<void> => {
    clearTimeout(timer)
    sentAtMs = performance.now()
    const users = [...pending]
    pending.clear()
    try {
      for (let at = 0; at < users.length; at += usersPerMessage)
        await send(users.slice(at, at + usersPerMessage))
      isFailing = false
    } catch (error) {
      if (!isFailing) log.warn('notifications are not sent', { error })
      isFailing = true
    }
    timer = undefined
    if (pending.size > 0) schedule()
  }

  const schedule = (): void => {
    const waitMs = Math.max(0, sentAtMs + intervalMs - performance.now())
    timer = setTimeout(() => void flush(), waitMs)
    timer.unref()
  }

  return {
    add: (userId: string): void => {
      if (pending.size >= pendingMax) return
      pending.add(userId)
      if (timer === undefined) schedule()
    },
    flush,
  }
}
