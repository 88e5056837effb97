import { t } from 'elysia'
import { NoBody } from '../../schema/body.ts'
import { closed } from '../accounts/schema.ts'
import { ticketSeconds } from './ticket.ts'

const StreamTicket = t.Object(
  {
    ticket: t.String({
      description: 'Opens one event stream, once: `GET /api/tasks/events?ticket=…`',
      examples: ['AbGe0f7uJqTn1dS3yQx8Rk5wLm2cVz9h'],
    }),
    expires_in: t.Integer({ description: 'Seconds', examples: [ticketSeconds] }),
  },
  { ...closed, $id: 'StreamTicket' },
)

export const createStreamTicket = {
  body: NoBody,
  response: { 201: StreamTicket },
  detail: {
    tags: ['Live'],
    operationId: 'createStreamTicket',
    summary: 'Get a ticket for an event stream',
    description:
      'For `EventSource`, which cannot send headers. The ticket is valid for a minute and for the session that ' +
      'requests it. Personal tokens send `Authorization` to the stream instead.',
  },
}
