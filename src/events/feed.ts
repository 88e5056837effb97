import type { RequestPrincipal } from '../http/principal.ts'
import type { ChangesRepository } from '../tasks/changes/repository.ts'
import type { ChangesTokens, FeedPosition } from '../tasks/changes/token.ts'
import { formatChange } from './format.ts'

type Needs = { changes: ChangesRepository; changesTokens: ChangesTokens }

/** Changes per statement: with the longest descriptions, 800 KB wait for a client that does not read. */
const pageSize = 20

/** What has changed in the tasks of a principal since a position, as the text of events. The position moves. */
export const createEventFeed =
  ({ changes, changesTokens }: Needs) =>
  (principal: RequestPrincipal, start: FeedPosition) => {
    const { userId } = principal
    let position = start

    return {
      token: () => changesTokens.encode(userId, position),
      number: () => position.number,

      /** Undefined if the session has ended. */
      read: async () => {
        const page = await changes(principal).list(pageSize, position)
        if (page === undefined) return undefined
        const { entries, has_more } = page
        const end = changesTokens.advance(page.progress, position, !has_more)
        const before = { fresh: end.fresh, at: position.at }
        const text = entries
          .map(({ change, number, id }, index) => {
            const at = index === entries.length - 1 ? end : { ...before, number, id }
            return formatChange(change, changesTokens.encode(userId, at))
          })
          .join('')
        position = end
        return { text, hasMore: has_more }
      },
    }
  }
