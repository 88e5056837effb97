import { epochMs } from '../db/clock.ts'
import type { RequestPrincipal } from '../http/principal.ts'
import type { Log } from '../log.ts'
import type { Subscriber } from '../notifications/notifications.ts'
import type { ChangesRepository } from '../tasks/changes/repository.ts'
import type { ChangesTokens, FeedPosition } from '../tasks/changes/token.ts'
import { Unavailable } from '../unavailable.ts'
import { formatEntries, pageSize } from './feed.ts'
import { type EndCode, formatEnd, formatReady, keepAlive } from './format.ts'
import type { Follower, SharedFeeds } from './shared-feed.ts'

/** What all streams need. */
export type StreamNeeds = {
  changes: ChangesRepository
  changesTokens: ChangesTokens
  sharedFeeds: SharedFeeds
  log: Log
  onClose: (stream: EventStream) => void
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
 * One event stream. It reads until it has everything, and then follows the shared feed of its user.
 *
 * The client pulls: changes are taken when the previous ones were sent, and otherwise read later, so a client that
 * reads slowly costs no memory. If it does not read at all, the server closes the connection when it was idle for
 * `idleSeconds` (`http/server.ts`). Bun calls `cancel` when a connection ends (test/binary/streams.test.ts).
 *
 * A class, because thousands of closures per second would cost more memory than the streams.
 */
export class EventStream implements Subscriber, Follower {
  readonly userId: string
  readonly sessionId: string
  /** In milliseconds since 1970. */
  readonly #expiresAtMs: number
  readonly #needs: StreamNeeds
  #position: FeedPosition
  /** Text that waits for the client. */
  #text: string
  /** Changes may exist, and are not those of the shared feed. */
  #isDue = true
  #isFollowing = false
  #endCode: EndCode | undefined
  #isKeepAliveDue = false
  #isOpen = false
  #isClosed = false
  #readAtMs = Number.NEGATIVE_INFINITY
  #sentAtMs = performance.now()
  #resume: (() => void) | undefined

  constructor(principal: RequestPrincipal, start: FeedPosition, needs: StreamNeeds) {
    this.userId = principal.userId
    this.sessionId = principal.sessionId
    this.#expiresAtMs = principal.expiresAtMs
    this.#needs = needs
    this.#position = start
    this.#text = formatReady(needs.changesTokens.encode(this.userId, start))
  }

  /** Reads the first changes, which are sent with the first event. False if the session has ended. */
  async begin(): Promise<boolean> {
    const start = this.#position
    const text = await this.#readPage()
    if (text === undefined) return false
    const { changesTokens } = this.#needs
    const position = text === '' ? this.#position : start
    this.#text = formatReady(changesTokens.encode(this.userId, position)) + text
    return true
  }

  body(): ReadableStream<Uint8Array> {
    this.#isOpen = true
    return new ReadableStream<Uint8Array>(
      { pull: (controller) => this.#pull(controller), cancel: () => this.#close() },
      { highWaterMark: 0 },
    )
  }

  /** The number of the last change that was sent. */
  seen(): number {
    return this.#position.number
  }

  /** Changes may exist, or the session may have ended. */
  wake(): void {
    if (this.#isFollowing) {
      this.#needs.sharedFeeds.wake(this.userId)
      return
    }
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
    if (nowMs >= this.#expiresAtMs) this.end('token-expired')
    if (performance.now() - this.#sentAtMs < keepAliveMs) return
    this.#isKeepAliveDue = true
    this.#resume?.()
  }

  /** From the shared feed. */
  receive(text: string, position: FeedPosition): void {
    if (this.#text !== '') {
      // The client has not taken the previous events yet.
      this.detach()
      return
    }
    this.#position = position
    this.#text = text
    if (text !== '') this.#resume?.()
  }

  /** Stops following, to read what follows the position by itself. */
  detach(): void {
    this.#needs.sharedFeeds.leave(this)
    this.#isFollowing = false
    this.wake()
  }

  endSession(): void {
    const hasExpired = epochMs() >= this.#expiresAtMs - expirySlackMs
    this.end(hasExpired ? 'token-expired' : 'session-ended')
  }

  async #pull(controller: ReadableStreamDefaultController<Uint8Array>): Promise<void> {
    try {
      const bytes = await this.#next()
      if (this.#isClosed) return
      this.#sentAtMs = performance.now()
      controller.enqueue(bytes ?? encoder.encode(formatEnd(this.#endCode ?? 'draining')))
      if (bytes !== undefined) return
      this.#close()
      controller.close()
    } catch (error) {
      // The client connects again.
      this.#needs.log.error('stream failed', { error })
      this.#close()
      throw error
    }
  }

  /** What to send next; undefined at the end. */
  async #next(): Promise<Uint8Array | undefined> {
    for (;;) {
      if (this.#text !== '') {
        const bytes = encoder.encode(this.#text)
        this.#text = ''
        return bytes
      }
      if (this.#isClosed || this.#endCode !== undefined) return undefined
      const waitMs = this.#isDue ? this.#readAtMs + pauseMs - performance.now() : undefined
      if (waitMs !== undefined && waitMs <= 0) await this.#read()
      else if (this.#isKeepAliveDue) {
        this.#isKeepAliveDue = false
        return keepAliveBytes
      } else await this.#pause(waitMs)
    }
  }

  async #read(): Promise<void> {
    this.#isKeepAliveDue = false
    try {
      const text = await this.#readPage()
      if (text === undefined) this.endSession()
      else this.#text = text
    } catch (error) {
      if (!(error instanceof Unavailable)) throw error
      // A stream survives an outage: a browser gives up on a 503.
      this.#isDue = true
      this.#readAtMs = performance.now() + retryMs
    }
  }

  /** The text of the next events. Afterwards the stream follows, if there are no more. */
  async #readPage(): Promise<string | undefined> {
    const { changes, changesTokens, sharedFeeds } = this.#needs
    const { userId } = this
    const start = this.#position
    this.#isDue = false
    const page = await changes(this).list(pageSize, start)
    if (page === undefined) return undefined
    const end = changesTokens.advance(page.progress, start, !page.has_more)
    const events = formatEntries(page.entries, { userId, start, end, changesTokens })
    this.#position = end
    this.#isDue ||= page.has_more
    this.#readAtMs = page.has_more ? Number.NEGATIVE_INFINITY : performance.now()
    if (this.#isOpen && !this.#isDue && !this.#isClosed)
      this.#isFollowing = sharedFeeds.join(this, end)
    this.#isDue ||= this.#isOpen && !this.#isFollowing
    return events.map(({ text }) => text).join('')
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
    this.#needs.sharedFeeds.leave(this)
    this.#needs.onClose(this)
    this.#resume?.()
  }
}
