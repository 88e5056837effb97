import { addSeconds, now } from '../../db/clock.ts'
import type { CursorCodec } from '../../http/cursor-codec.ts'
import { type FieldError, throwMalformedRequest, throwProblem } from '../../http/problem.ts'
import type { Progress } from './repository.ts'

/** The content of a changes token: the progress of a copy, and when the copy was last complete. */
export type FeedPosition = Progress & { at: string }

/** Where a request has its token, for the error. */
type Source = { in: FieldError['in']; pointer: string }

type Needs = { cursorCodec: CursorCodec; trashDays: number }

/**
 * The tokens of the changes feed, which are also the ids of the events of a stream.
 *
 * A token is valid for TRASH_DAYS after its copy was complete, because tombstones may be deleted then. The time has the
 * precision of an hour, and stays in the token of an unchanged feed for half of its validity. So `next` is the same text
 * until something changes.
 */
export const createChangesTokens = ({ cursorCodec, trashDays }: Needs) => {
  const validSeconds = trashDays * 86_400
  const bindingOf = (userId: string) => JSON.stringify([userId, 'changes'])

  return {
    encode: (userId: string, { number, id, fresh, lists, at }: FeedPosition): string => {
      // `fresh` has no effect behind the position. Without it, copies with the same progress have the same token.
      const content = {
        number,
        id,
        fresh: fresh > number ? fresh : 0,
        at,
        ...(lists && { lists }),
      }
      return cursorCodec.encodeStable(content, bindingOf(userId))
    },

    /**
     * 400 for text that is not a token of this user, 410 for one that is too old, or of a copy without lists if `lists` are
     * wanted.
     */
    decode: (userId: string, token: string, lists: boolean, source: Source): FeedPosition => {
      const position =
        cursorCodec.decode<FeedPosition>(token, bindingOf(userId)) ??
        throwMalformedRequest(
          source.in,
          source.pointer,
          'must be the `next` of an earlier response',
        )
      const isTooOld = position.at < addSeconds(now(), -validSeconds)
      if (isTooOld || (lists && !position.lists)) throwProblem('sync-expired')
      return { ...position, lists }
    },

    /** The position of a copy that was at `since` and has received all changes up to `progress`. */
    advance: (progress: Progress, since: FeedPosition | undefined, isComplete: boolean) => {
      const at = `${now().slice(0, 13)}:00:00.000Z`
      if (since === undefined) return { ...progress, at }
      // While there are more changes, the copy is complete as of the earlier time only.
      const keepsTime = !isComplete || (isSame(progress, since) && isInFirstHalf(since.at))
      return { ...progress, at: keepsTime ? since.at : at }
    },
  }

  function isInFirstHalf(at: string): boolean {
    return at > addSeconds(now(), -validSeconds / 2)
  }
}

export type ChangesTokens = ReturnType<typeof createChangesTokens>

const isSame = (a: Progress, b: Progress) => a.number === b.number && a.id === b.id
