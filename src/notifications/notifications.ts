import { epochMs } from '../db/clock.ts'
import type { Log } from '../log.ts'
import type { Channel } from './channel.ts'
import { type Message, parseMessage } from './message.ts'
import { createPublisher } from './publisher.ts'
import { createReceiver } from './receiver.ts'

/** Someone who waits for changes of a user. */
export type Subscriber = {
  readonly userId: string
  readonly sessionId: string
  /** The number of the last change that it has seen. */
  seen(): number
  /** Changes of the user may exist, or the session may have ended. It has to look. */
  wake(): void
}

type Needs = {
  /** Absent: there are no other instances (embedded database). */
  channel?: Channel | undefined
  /** Those of the subscribers that have missed a change or the end of their session. */
  findStale?: ((subscribers: readonly Subscriber[]) => Promise<Subscriber[]>) | undefined
  log: Log
}

/** How long a lost notification may go unnoticed. */
const pollMs = 4000

/**
 * Tells subscribers on all instances that something of a user may have changed: tasks, or the end of a session.
 *
 * A notification is a hint. It is sent after the statement of the write, and may be lost: an instance dies between the
 * two, or the channel fails. So subscribers look again after each gap, and a poll finds those that missed something.
 */
export const createNotifications = ({ channel, findStale, log }: Needs) => {
  const subscribers = createSubscribers()
  const poll = createPoll(async () => {
    for (const one of (await findStale?.(subscribers.all())) ?? []) one.wake()
    return subscribers.count() > 0
  })
  const link = channel && linkTo(channel, subscribers, log)

  /** An instance on which nobody listens needs no connection and no poll. */
  const followSubscribers = (): void => {
    if (subscribers.count() + subscribers.listeners.size === 0) link?.receiver.stop()
    else link?.receiver.start()
    if (findStale !== undefined && subscribers.count() > 0) poll.start()
  }

  return {
    /** Something of the user has changed. Returns at once. */
    publish: (userId: string): void => {
      subscribers.wake(userId)
      link?.publisher.add(userId)
    },

    /** Wakes the subscriber until the returned function is called. */
    subscribe: (subscriber: Subscriber): (() => void) => {
      const remove = subscribers.add(subscriber)
      followSubscribers()
      return () => {
        remove()
        followSubscribers()
      }
    },

    /** Calls the listener with each user that changes, until the returned function is called. */
    onChange: (listener: (userId: string) => void): (() => void) => {
      subscribers.listeners.add(listener)
      followSubscribers()
      return () => {
        subscribers.listeners.delete(listener)
        followSubscribers()
      }
    },

    /** How long the last message of this instance to itself took, in milliseconds. */
    lagMs: () => link?.lagMs() ?? 0,

    /** Sends what is pending, and closes the connections. */
    stop: async (): Promise<void> => {
      poll.stop()
      link?.receiver.stop()
      await link?.publisher.flush()
      await channel?.close()
    },
  }
}

export type Notifications = ReturnType<typeof createNotifications>

type Subscribers = ReturnType<typeof createSubscribers>

const createSubscribers = () => {
  const byUser = new Map<string, Set<Subscriber>>()
  const listeners = new Set<(userId: string) => void>()
  return {
    listeners,
    count: () => byUser.size,
    all: () => [...byUser.values()].flatMap((own) => [...own]),
    wake: (userId: string): void => {
      for (const one of byUser.get(userId) ?? []) one.wake()
      for (const listener of listeners) listener(userId)
    },
    add: (subscriber: Subscriber) => {
      const { userId } = subscriber
      const own = byUser.get(userId) ?? new Set()
      byUser.set(userId, own.add(subscriber))
      return () => {
        own.delete(subscriber)
        if (own.size === 0 && byUser.get(userId) === own) byUser.delete(userId)
      }
    },
  }
}

/** The connection to the other instances. */
const linkTo = (channel: Channel, subscribers: Subscribers, log: Log) => {
  const instance = Bun.randomUUIDv7()
  let lagMs = 0
  const send = async (users: string[]): Promise<void> => {
    const message: Message = { from: instance, sentAtMs: epochMs(), users }
    await channel.publish(JSON.stringify(message))
  }
  const receiver = createReceiver({
    channel,
    log,
    sendEcho: () => send([]),
    onMessage: (text) => {
      const { from, sentAtMs, users } = parseMessage(text)
      if (from === instance) {
        lagMs = Math.max(0, epochMs() - sentAtMs)
        receiver.echoed()
      } else users.forEach(subscribers.wake)
    },
    onGap: () => {
      for (const one of subscribers.all()) one.wake()
    },
  })
  return { receiver, publisher: createPublisher({ send, log }), lagMs: () => lagMs }
}

/** Calls `run` repeatedly, while it returns true. */
const createPoll = (run: () => Promise<boolean>) => {
  let timer: ReturnType<typeof setTimeout> | undefined
  let isStopped = false

  const tick = async (): Promise<void> => {
    // If the database is down, subscribers find out by themselves.
    const isNeeded = await run().catch(() => true)
    timer = undefined
    if (isNeeded) start()
  }
  const start = (): void => {
    if (timer !== undefined || isStopped) return
    timer = setTimeout(() => void tick(), pollMs)
    timer.unref()
  }
  return {
    start,
    stop: (): void => {
      isStopped = true
      clearTimeout(timer)
    },
  }
}
