import { t } from 'elysia'
import { problemResponses } from '../../http/problem.ts'
import { Id } from '../../schema/types.ts'
import { task } from '../examples.ts'
import { calendarFoot, calendarHead, createCalendarRecord } from '../transfer/formats/icalendar.ts'

const Secret = t.Object({
  secret: {
    ...Id({ description: 'The secret of the `feed_url`, with the ending `.ics`' }),
    format: undefined,
    examples: ['AbGe0f7uJqTn1dS3yQx8Rk5wLm2cVz9h.ics'],
  },
})

export const readCalendar = {
  params: Secret,
  response: {
    200: t.String(),
    304: t.Undefined(),
    ...problemResponses('malformed-request', 'calendar-not-found'),
  },
  detail: {
    tags: ['Tasks'] as string[],
    security: [] as [],
    operationId: 'readCalendar',
    summary: 'Subscribe to the tasks in a calendar program',
    description:
      'The `feed_url` of a personal token with the scope `calendar:read`: all tasks as iCalendar (VTODO). The secret in the ' +
      'path is the only authentication.',
    'x-calendar-secret': true,
    'x-takes': ['If-None-Match'],
    'x-headers': ['ETag'],
    'x-produces': ['text/calendar'],
    'x-examples': {
      'text/calendar': `${calendarHead}${createCalendarRecord()(task)}${calendarFoot}`,
    },
  },
} as const
