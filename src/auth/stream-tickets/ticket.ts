import { epochMs } from '../../db/clock.ts'
import type { CursorCodec } from '../../http/cursor-codec.ts'
import type { VerifiedToken } from '../../http/principal.ts'

/** The validity of a ticket, which a browser uses at once. */
export const ticketSeconds = 60

type Content = {
  id: string
  user: string
  session: string
  /** The end of the access token that requested the ticket, in milliseconds since 1970, and thus of the stream. */
  token_expires: number
  expires: number
}

export type VerifiedTicket = VerifiedToken & { ticket: { id: string; expiresAt: string } }

const binding = JSON.stringify(['stream-ticket'])

/**
 * One-time tickets in the URL of an event stream, because `EventSource` cannot send headers. A ticket is encrypted and
 * authenticated (`http/cursor-codec.ts`), so that any instance verifies it without a statement. That it is used once is
 * ensured by `repository.ts`.
 */
export const createStreamTickets = (cursorCodec: CursorCodec) => ({
  issue: ({ userId, sessionId, expiresAtMs }: VerifiedToken): string => {
    const content: Content = {
      id: Bun.randomUUIDv7(),
      user: userId,
      session: sessionId,
      token_expires: expiresAtMs,
      expires: epochMs() + ticketSeconds * 1000,
    }
    return cursorCodec.encode(content, binding)
  },

  /** Undefined if the text is no ticket, or has expired. */
  verify: (text: string): VerifiedTicket | undefined => {
    const content = cursorCodec.decode<Content>(text, binding)
    if (content === undefined || content.expires <= epochMs()) return undefined
    return {
      userId: content.user,
      sessionId: content.session,
      scope: undefined,
      expiresAtMs: content.token_expires,
      ticket: { id: content.id, expiresAt: new Date(content.expires).toISOString() },
    }
  },
})

export type StreamTickets = ReturnType<typeof createStreamTickets>
