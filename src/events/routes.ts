import { Elysia } from 'elysia'
import type { StreamTicketRepository } from '../auth/stream-tickets/repository.ts'
import { type Authenticated, requireSession } from '../http/authenticated.ts'
import type { RequestPrincipal } from '../http/principal.ts'
import type { ChangesRepository } from '../tasks/changes/repository.ts'
import type { ChangesTokens, FeedPosition } from '../tasks/changes/token.ts'
import { createEventFeed } from './feed.ts'
import { formatReady } from './format.ts'
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
export const eventRoutes = (needs: Needs) => {
  const { changes, changesTokens, tickets, streams, authenticated } = needs
  const feedOf = createEventFeed(needs)

  const startOf = (
    { userId }: RequestPrincipal,
    lastEventId: string | null,
    since: string | undefined,
  ): FeedPosition | undefined => {
    if (lastEventId !== null && lastEventId !== '')
      return changesTokens.decode(userId, lastEventId, { in: 'header', pointer: '/last-event-id' })
    return since === undefined
      ? undefined
      : changesTokens.decode(userId, since, { in: 'query', pointer: '/since' })
  }

  return new Elysia().use(authenticated).get(
    '/events',
    async ({ principal, query, request }) => {
      const { method, headers } = request
      const start = startOf(principal, headers.get('last-event-id'), query.since)
      const place = streams.reserve(principal.userId)
      try {
        if (principal.ticket !== undefined && method === 'GET')
          requireSession((await tickets(principal).use(principal.ticket)) || undefined)
        const progress = start ?? requireSession(await changes(principal).head())
        const feed = feedOf(principal, changesTokens.advance(progress, start, false))
        const startToken = feed.token()
        // Before the response, so that an ended session is a 401.
        const changed = start === undefined ? '' : requireSession(await feed.read()).text
        const first = formatReady(changed === '' ? feed.token() : startToken) + changed
        if (method === 'HEAD') {
          place.release()
          return streamResponse(null)
        }
        const stream = place.open({
          principal,
          first,
          readEvents: feed.read,
          seen: feed.number,
        })
        return streamResponse(stream.body)
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
