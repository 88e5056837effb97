import { epochMs } from '../db/clock.ts'
import type { Log } from '../log.ts'
import { Unavailable } from '../unavailable.ts'
import { type EndCode, formatEnd, keepAlive } from './format.ts'

/** Text to send, the last of it if `isLast`. */
type Chunk = { text: string; isLast?: boolean }

/** What has changed since the last call: the events as text; undefined if the session has ended. */
export type ReadEvents = () => Promise<{ text: string; hasMore: boolean } | undefined>

type Needs = {
  /** The text of the first events. */
  first: string
  readEvents: ReadEvents
  /** In milliseconds since 1970. */
  expiresAtMs: number
  log: Log
  onClose: () => void
}

/** A comment is sent this often. */
const keepAliveMs = 15_000
/** After a read, the next one waits this long, so that many changes at once are few statements. */
const pauseMs = 50
/** How soon to try again while the database is down. */
const retryMs = 1000
/** A session may end this much before its last token, which has whole seconds. */
const expirySlackMs = 2000

const encoder = new TextEncoder()
const keepAliveBytes = encoder.encode(keepAlive)

/**
 * One event stream. The client pulls: the next changes are read when the previous ones were sent, so a client that
 * reads slowly costs no memory. If it does not read at all, the server closes the connection when it was idle for
 * `idleSeconds` (`http/server.ts`). Bun calls `cancel` when a connection ends (test/events/stream.test.ts).
 */
export class EventStream {
  readonly body: ReadableStream<Uint8Array>
  #needs: Needs
  /** Changes may exist. */
  #isDue = true
  #endCode: EndCode | undefined
  #isKeepAliveDue = false
  #isFirstSent = false
  #isClosed = false
  #readAtMs = Number.NEGATIVE_INFINITY
  #sentAtMs = performance.now()
  #resume: (() => void) | undefined

  constructor(needs: Needs) {
    this.#needs = needs
    this.body = new ReadableStream<Uint8Array>(
      { pull: (controller) => this.#pull(controller), cancel: () => this.#close() },
      { highWaterMark: 0 },
    )
  }

  /** Changes may exist, or the session may have ended. */
  wake(): void {
    this.#isDue = true
    this.#resume?.()
  }

  /** Sends the last event, after the changes that are being read. */
  end(code: EndCode): void {
    this.#endCode ??= code
    this.#resume?.()
  }

  /** Called every second. */
  tick(nowMs: number): void {
    if (nowMs >= this.#needs.expiresAtMs) this.end('token-expired')
    if (performance.now() - this.#sentAtMs < keepAliveMs) return
    this.#isKeepAliveDue = true
    this.#resume?.()
  }

  async #pull(controller: ReadableStreamDefaultController<Uint8Array>): Promise<void> {
    try {
      const { text, isLast = false } = await this.#next()
      if (this.#isClosed) return
      this.#sentAtMs = performance.now()
      controller.enqueue(text === keepAlive ? keepAliveBytes : encoder.encode(text))
      if (!isLast) return
      this.#close()
      controller.close()
    } catch (error) {
      // The client connects again.
      this.#needs.log.error('stream failed', { error })
      this.#close()
      throw error
    }
  }

  async #next(): Promise<Chunk> {
    for (;;) {
      if (!this.#isFirstSent) {
        this.#isFirstSent = true
        return { text: this.#needs.first }
      }
      if (this.#isClosed) return { text: '', isLast: true }
      if (this.#endCode !== undefined) return { text: formatEnd(this.#endCode), isLast: true }
      const waitMs = this.#isDue ? this.#readAtMs + pauseMs - performance.now() : undefined
      if (waitMs !== undefined && waitMs <= 0) {
        const text = await this.#read()
        if (text !== '') return { text }
      } else if (this.#isKeepAliveDue) {
        this.#isKeepAliveDue = false
        return { text: keepAlive }
      } else await this.#pause(waitMs)
    }
  }

  /** The text of the next events, which may be empty. */
  async #read(): Promise<string> {
    this.#isDue = false
    this.#isKeepAliveDue = false
    try {
      const events = await this.#needs.readEvents()
      if (events === undefined) {
        const hasExpired = epochMs() >= this.#needs.expiresAtMs - expirySlackMs
        this.end(hasExpired ? 'token-expired' : 'session-ended')
        return ''
      }
      this.#readAtMs = events.hasMore ? Number.NEGATIVE_INFINITY : performance.now()
      if (events.hasMore) this.#isDue = true
      return events.text
    } catch (error) {
      if (!(error instanceof Unavailable)) throw error
      // A stream survives an outage: a browser gives up on a 503.
      this.#isDue = true
      this.#readAtMs = performance.now() + retryMs
      return ''
    }
  }

  /** Until something happens, or for `waitMs`. */
  #pause(waitMs: number | undefined): Promise<void> {
    return new Promise((resolve) => {
      const timer = waitMs === undefined ? undefined : setTimeout(() => this.#resume?.(), waitMs)
      this.#resume = () => {
        clearTimeout(timer)
        this.#resume = undefined
        resolve()
      }
    })
  }

  #close(): void {
    if (this.#isClosed) return
    this.#isClosed = true
    this.#needs.onClose()
    this.#resume?.()
  }
}
