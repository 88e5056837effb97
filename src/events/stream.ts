import { epochMs } from '../db/clock.ts'
import type { RequestPrincipal } from '../http/principal.ts'
import type { Log } from '../log.ts'
import type { Subscriber } from '../notifications/notifications.ts'
import type { ChangesRepository } from '../tasks/changes/repository.ts'
import type { ChangesTokens, FeedPosition } from '../tasks/changes/token.ts'
import { Unavailable } from '../unavailable.ts'
import { type Chunk, pullBody } from './body.ts'
import { readPage } from './feed.ts'
import { type EndCode, formatEnd, formatReady, keepAlive, padding } from './format.ts'
import { Pause } from './pause.ts'
import type { Follower, SharedFeeds } from './shared-feed.ts'

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
const retryMs = 1000
/** Padding follows an event after this silence, so that a change arrives within 500 ms through any proxy. */
const paddingMs = 250
/** A session may end this much before its last token, which has whole seconds. */
const expirySlackMs = 2000

const encoder = new TextEncoder()

/**
 * One event stream. It reads until it has everything, and then follows the shared feed of its user.
 *
 * The client pulls: changes are taken when the previous ones were sent, and otherwise read later, so a client that
 * reads slowly costs no memory. If it does not read at all, the server closes the connection when it was idle for
 * `idleSeconds` (`http/server.ts`). Bun calls `cancel` when a connection ends (test/binary/streams.test.ts).
 */
export class EventStream implements Subscriber, Follower {
  readonly userId: string
  readonly sessionId: string
  readonly withLists: boolean
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
  /** Events were sent, and no padding since. */
  #isUnpadded = false
  #isOpen = false
  #isClosed = false
  #readAtMs = Number.NEGATIVE_INFINITY
  #sentAtMs = performance.now()
  readonly #pause = new Pause()

  constructor(principal: RequestPrincipal, start: FeedPosition, needs: StreamNeeds) {
    this.userId = principal.userId
    this.sessionId = principal.sessionId
    this.withLists = start.lists
    this.#expiresAtMs = principal.expiresAtMs
    this.#needs = needs
    this.#position = start
    this.#text = this.#ready(start)
  }

  #ready(position: FeedPosition): string {
    return formatReady(this.#needs.changesTokens.encode(this.userId, position))
  }

  /** Reads the first changes, which are sent with the first event. False if the session has ended. */
  async begin(): Promise<boolean> {
    const start = this.#position
    this.#text = ''
    if (!(await this.#readPage())) return false
    const position = this.#text === '' ? this.#position : start
    this.#text = this.#ready(position) + this.#text
    return true
  }

  body(): ReadableStream<Uint8Array> {
    this.#isOpen = true
    const { log } = this.#needs
    return pullBody({ next: () => this.#next(), close: () => this.#close(), log })
  }

  seen(): number {
    return this.#position.number
  }

  /** Changes may exist, or the session may have ended. */
  wake(): void {
    if (this.#isFollowing) this.#needs.sharedFeeds.wake(this)
    else {
      this.#isDue = true
      this.#pause.end()
    }
  }

  /** Sends the last event, after the changes that are being read. */
  end(code: EndCode): void {
    this.#endCode ??= code
    this.#pause.end()
  }

  /** Called every second. */
  tick(nowMs: number): void {
    if (nowMs >= this.#expiresAtMs) this.end('token-expired')
    if (performance.now() - this.#sentAtMs < keepAliveMs) return
    this.#isKeepAliveDue = true
    this.#pause.end()
  }

  receive(text: string, position: FeedPosition): void {
    // The client has not taken the previous events yet.
    if (this.#text !== '') return void this.detach()
    this.#position = position
    this.#text = text
    this.#pause.end()
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

  /** What to send next; undefined if the client is gone. */
  async #next(): Promise<Chunk | undefined> {
    while (!this.#isClosed) {
      if (this.#text !== '') return this.#take()
      if (this.#endCode !== undefined)
        return { bytes: encoder.encode(formatEnd(this.#endCode)), isLast: true }
      const nowMs = performance.now()
      const readInMs = this.#isDue ? this.#readAtMs + pauseMs - nowMs : Number.POSITIVE_INFINITY
      const padInMs = this.#isUnpadded ? this.#sentAtMs + paddingMs - nowMs : readInMs
      if (readInMs <= 0) await this.#read()
      else if (padInMs <= 0 || this.#isKeepAliveDue) return this.#take()
      else await this.#pause.wait(Math.min(readInMs, padInMs))
    }
    return undefined
  }

  /** The waiting text, padding or a comment. */
  #take(): Chunk {
    const comment = this.#isUnpadded ? padding : keepAlive
    const bytes = this.#text === '' ? comment : encoder.encode(this.#text)
    this.#isUnpadded = this.#text !== ''
    this.#text = ''
    this.#isKeepAliveDue = false
    this.#sentAtMs = performance.now()
    return { bytes, isLast: false }
  }

  async #read(): Promise<void> {
    try {
      if (!(await this.#readPage())) this.endSession()
    } catch (error) {
      if (!(error instanceof Unavailable)) throw error
      // A stream survives an outage: a browser gives up on a 503.
      this.#isDue = true
      this.#readAtMs = performance.now() + retryMs
    }
  }

  /** Reads the next events, and follows if there are no more. False if the session has ended. */
  async #readPage(): Promise<boolean> {
    this.#isDue = false
    const page = await readPage(this, this.#position, this.#needs)
    if (page === undefined) return false
    this.#position = page.end
    this.#text += page.text
    this.#readAtMs = page.hasMore ? Number.NEGATIVE_INFINITY : performance.now()
    this.#isDue ||= page.hasMore
    if (!this.#isOpen || this.#isClosed) return true
    this.#isFollowing = !this.#isDue && this.#needs.sharedFeeds.join(this, page.end)
    this.#isDue = !this.#isFollowing
    return true
  }

  #close(): void {
    if (this.#isClosed) return
    this.#isClosed = true
    this.#needs.sharedFeeds.leave(this)
    this.#needs.onClose(this)
    this.#pause.end()
  }
}
