import { Elysia } from 'elysia'
import type { StreamTicketRepository } from '../auth/stream-tickets/repository.ts'
import { type Authenticated, requireSession } from '../http/authenticated.ts'
import type { RequestPrincipal } from '../http/principal.ts'
import type { ChangesRepository } from '../tasks/changes/repository.ts'
import type { ChangesTokens, FeedPosition } from '../tasks/changes/token.ts'
import { streamEvents } from './schema.ts'
import type { EventStreams } from './streams.ts'

type Needs = {
  changes: ChangesRepository
  changesTokens: ChangesTokens
  tickets: StreamTicketRepository
  streams: EventStreams
  authenticated: Authenticated
}

/** The event stream. */
export const eventRoutes = ({ changes, changesTokens, tickets, streams, authenticated }: Needs) => {
  const startOf = (
    { userId }: RequestPrincipal,
    lastEventId: string | null,
    { since, lists }: { since: string | undefined; lists: boolean },
  ): FeedPosition | undefined => {
    if (lastEventId !== null && lastEventId !== '') {
      const source = { in: 'header' as const, pointer: '/last-event-id' }
      return changesTokens.decode(userId, lastEventId, lists, source)
    }
    return since === undefined
      ? undefined
      : changesTokens.decode(userId, since, lists, { in: 'query', pointer: '/since' })
  }

  const openStream = async (
    principal: RequestPrincipal,
    start: FeedPosition | Pick<FeedPosition, 'lists'>,
    isHead: boolean,
  ) => {
    if (principal.ticket !== undefined && !isHead)
      requireSession((await tickets(principal).use(principal.ticket)) || undefined)
    // One statement before the response, so that an ended session is a 401.
    if ('number' in start) {
      const stream = streams.create(principal, start)
      requireSession((await stream.begin()) || undefined)
      return stream
    }
    const head = requireSession(await changes(principal).head(start.lists))
    return streams.create(principal, changesTokens.advance(head, undefined, true))
  }

  return new Elysia().use(authenticated).get(
    '/events',
    async ({ principal, query, request }) => {
      const isHead = request.method === 'HEAD'
      const lists = query.include === 'lists'
      const lastEventId = request.headers.get('last-event-id')
      const start = startOf(principal, lastEventId, { since: query.since, lists }) ?? { lists }
      const place = streams.reserve(principal.userId)
      try {
        const stream = await openStream(principal, start, isHead)
        if (!isHead) return streamResponse(place.open(stream))
        place.release()
        return streamResponse(null)
      } catch (error) {
        place.release()
        throw error
      }
    },
    streamEvents,
  )
}

const streamResponse = (body: ReadableStream<Uint8Array> | null) =>
  new Response(body, {
    headers: {
      'content-type': 'text/event-stream; charset=utf-8',
      // nginx passes each event on at once.
      'x-accel-buffering': 'no',
    },
  })
