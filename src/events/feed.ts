import type { Principal } from '../db/user-scope.ts'
import type { Entry } from '../tasks/changes/entries.ts'
import type { ChangesRepository } from '../tasks/changes/repository.ts'
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
    const position = isLast ? end : { ...start, number, id, fresh: end.fresh }
    return { number, text: formatChange(change, changesTokens.encode(userId, position)) }
  })

type Needs = { changes: ChangesRepository; changesTokens: ChangesTokens }

/** The text of the next events of a principal after a position; undefined if the session has ended. */
export const readPage = async (
  principal: Principal,
  start: FeedPosition,
  { changes, changesTokens }: Needs,
) => {
  const page = await changes(principal).list(pageSize, start, true)
  if (page === undefined) return undefined
  const { userId } = principal
  const end = changesTokens.advance(page.progress, start, !page.has_more)
  const events = formatEntries(page.entries, { userId, start, end, changesTokens })
  return { text: events.map(({ text }) => text).join(''), end, hasMore: page.has_more }
}
