import type { Log } from '../log.ts'
import { Unavailable } from '../unavailable.ts'
import type { Channel, Reception } from './channel.ts'

type Needs = {
  channel: Channel
  log: Log
  /** Sends a message to this instance itself, through the channel. */
  sendEcho: () => Promise<void>
  onMessage: (text: string) => void
  /** Messages may have been lost. */
  onGap: () => void
}

/** An echo is expected this often. A connection without one is replaced: it may be half open. */
const echoMs = 5000
const [retryMsMin, retryMsMax] = [250, 5000]
const connectMsMax = 5000

/** Keeps one connection of a channel open. After each time that it was not, `onGap` is called. */
export const createReceiver = ({ channel, log, sendEcho, onMessage, onGap }: Needs) => {
  let reception: Reception | undefined
  let timer: ReturnType<typeof setTimeout> | undefined
  let retryMs = retryMsMin
  let isWanted = false
  /** The number of the newest attempt to connect: what is left of earlier ones has no effect. */
  let attempt = 0
  let hasFailed = false
  let isEchoed = false

  const schedule = (ms: number, next: () => void) => {
    clearTimeout(timer)
    timer = setTimeout(next, ms)
    timer.unref()
  }

  const open = async (): Promise<void> => {
    const own = ++attempt
    let isLost = false
    const onLost = () => {
      isLost = true
      if (own === attempt && reception !== undefined) lose('closed')
    }
    try {
      const opened = await withinTime(channel.receive({ onMessage, onLost }), connectMsMax)
      // Stopped meanwhile, and perhaps started again.
      if (own !== attempt) return opened.close()
      reception = opened
      // A connection may be lost before it is known here.
      if (isLost) return lose('closed')
      onGap()
      isEchoed = true
      checkEcho()
    } catch (error) {
      if (own === attempt) lose(codeOf(error))
    }
  }

  const lose = (reason: string): void => {
    reception?.close()
    reception = undefined
    if (!hasFailed) log.warn('notifications are not received', { reason })
    hasFailed = true
    schedule(retryMs, () => void open())
    retryMs = Math.min(retryMs * 2, retryMsMax)
  }

  const checkEcho = (): void => {
    if (!isEchoed) {
      lose('no echo')
      return
    }
    isEchoed = false
    void sendEcho().catch(() => {})
    schedule(echoMs, checkEcho)
  }

  return {
    /** An own message came back. */
    echoed: (): void => {
      isEchoed = true
      retryMs = retryMsMin
      if (hasFailed) log.info('notifications are received again')
      hasFailed = false
    },
    start: (): void => {
      if (isWanted) return
      isWanted = true
      void open()
    },
    stop: (): void => {
      isWanted = false
      attempt++
      clearTimeout(timer)
      reception?.close()
      reception = undefined
    },
  }
}

/** Rejects late work. A reception that opens later is closed. */
const withinTime = async (opening: Promise<Reception>, ms: number): Promise<Reception> => {
  let isLate = false
  let timer: ReturnType<typeof setTimeout> | undefined
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => {
      isLate = true
      reject(new Unavailable('no connection in time', 'deadline'))
    }, ms)
  })
  opening.then(
    (opened) => isLate && opened.close(),
    () => {},
  )
  try {
    return await Promise.race([opening, late])
  } finally {
    clearTimeout(timer)
  }
}

/** Not the message, which may contain the URL. */
const codeOf = (error: unknown): string =>
  error instanceof Error && 'code' in error ? String(error.code) : 'failed'
