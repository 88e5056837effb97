import { Elysia } from 'elysia'
import { type Authenticated, requireSession } from '../../http/authenticated.ts'
import type { StreamTicketRepository } from './repository.ts'
import { createStreamTicket } from './schema.ts'
import { type StreamTickets, ticketSeconds } from './ticket.ts'

type Needs = {
  tickets: StreamTicketRepository
  streamTickets: StreamTickets
  authenticated: Authenticated
}

/** Tickets for event streams. */
export const streamTicketRoutes = ({ tickets, streamTickets, authenticated }: Needs) =>
  new Elysia().use(authenticated).post(
    '/auth/stream-tickets',
    async ({ principal, set }) => {
      requireSession((await tickets(principal).isLive()) || undefined)
      set.status = 201
      return { ticket: streamTickets.issue(principal), expires_in: ticketSeconds }
    },
    createStreamTicket,
  )
