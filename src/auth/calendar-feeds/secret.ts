import { createHash, randomBytes } from 'node:crypto'
import type { Principal } from '../../db/user-scope.ts'
import type { CursorCodec } from '../../http/cursor-codec.ts'
import type { VerifiedToken } from '../../http/principal.ts'

/** `key` has 256 random bits, so that the hash of the secret reveals nothing. */
type Content = { user: string; session: string; key: string }

const binding = JSON.stringify(['calendar-feed'])

/**
 * The secrets of calendar feeds, in their URLs, because calendar programs cannot send headers. A secret is encrypted and
 * authenticated, so that a request is counted for its user before any statement. The database has its hash only, and the
 * statement of the feed compares it.
 */
export const createCalendarSecrets = (cursorCodec: CursorCodec) => ({
  issue: ({ userId, sessionId }: Principal): string => {
    const key = randomBytes(32).toString('base64url')
    const content: Content = { user: userId, session: sessionId, key }
    return cursorCodec.encode(content, binding)
  },

  /** The personal token that a path such as `/api/calendar/….ics` stands for; undefined if it has no secret of this service. */
  verify: (path: string): VerifiedToken | undefined => {
    const secret = /\/([\w-]+)\.ics$/.exec(path)?.[1]
    const content = secret && cursorCodec.decode<Content>(secret, binding)
    if (!content) return undefined
    return {
      userId: content.user,
      sessionId: content.session,
      scope: calendarScope,
      // The statement of the feed checks the expiry.
      expiresAtMs: Number.POSITIVE_INFINITY,
      calendarHash: hashOf(secret),
    }
  },
})

export type CalendarSecrets = ReturnType<typeof createCalendarSecrets>

/** The scope of a personal token that is a calendar feed. */
export const calendarScope = 'calendar:read'

/** What the database stores of a secret. */
export const hashOf = (secret: string): string =>
  createHash('sha256').update(secret).digest('base64url')
