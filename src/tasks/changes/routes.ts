import { createHash } from 'node:crypto'
import { Elysia } from 'elysia'
import { type Authenticated, requireSession } from '../../http/authenticated.ts'
import { matchesIfNoneMatch } from '../../http/conditional.ts'
import type { LongPoll } from './long-poll.ts'
import type { ChangesRepository } from './repository.ts'
import { listChanges } from './schema.ts'
import type { ChangesTokens } from './token.ts'

type Needs = {
  changes: ChangesRepository
  changesTokens: ChangesTokens
  longPoll: LongPoll
  authenticated: Authenticated
}

/** The changes feed, for clients that keep a copy. */
export const changesRoutes = ({ changes, changesTokens, longPoll, authenticated }: Needs) =>
  new Elysia().use(authenticated).get(
    '/changes',
    async ({ principal, query, request, set, status }) => {
      const { userId } = principal
      const lists = query.include === 'lists'
      const since =
        query.since === undefined
          ? undefined
          : changesTokens.decode(userId, query.since, lists, { in: 'query', pointer: '/since' })
      const limit = Number(query.limit ?? 50)

      const read = async () => {
        const page = requireSession(await changes(principal).list(limit, since ?? { lists }))
        const position = changesTokens.advance(page.progress, since, !page.has_more)
        const next = changesTokens.encode(userId, position)
        const list = page.entries.flatMap(({ change }) => (change.op === 'reminder' ? [] : change))
        const body = { changes: list, next, has_more: page.has_more }
        const etag = etagOf(body)
        const isUnmodified = matchesIfNoneMatch(request.headers, etag)
        return { body, etag, isUnmodified, number: page.progress.number }
      }
      const { body, etag, isUnmodified } = await longPoll({
        principal,
        request,
        waitSeconds: Number(query.wait ?? 0),
        read,
        seen: ({ number }) => number,
        hasNews: ({ body, isUnmodified }) => body.changes.length > 0 && !isUnmodified,
      })
      set.headers.etag = etag
      return isUnmodified ? status(304, undefined) : body
    },
    listChanges,
  )

const etagOf = (body: object): string =>
  `"${createHash('sha256').update(JSON.stringify(body)).digest('base64url').slice(0, 22)}"`
