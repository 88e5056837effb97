import type { Entry } from '../tasks/changes/repository.ts'
import type { ChangesTokens, FeedPosition } from '../tasks/changes/token.ts'
import { formatChange } from './format.ts'

/** Changes per statement: with the longest descriptions, 800 KB wait for a client that does not read. */
export const pageSize = 20

type Between = {
  userId: string
  start: FeedPosition
  end: FeedPosition
  changesTokens: ChangesTokens
}

/** The events of the entries between two positions. The last one has the second position. */
export const formatEntries = (
  entries: readonly Entry[],
  { userId, start, end, changesTokens }: Between,
) =>
  entries.map(({ change, number, id }, index) => {
    const isLast = index === entries.length - 1
    const position = isLast ? end : { number, id, fresh: end.fresh, at: start.at }
    return { number, text: formatChange(change, changesTokens.encode(userId, position)) }
  })
