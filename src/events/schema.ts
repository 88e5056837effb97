import { t } from 'elysia'
import { problemResponses } from '../http/problem.ts'
import { List } from '../lists/schema.ts'
import { Id, Text, Timestamp } from '../schema/types.ts'
import { includeParam } from '../tasks/changes/schema.ts'
import * as examples from '../tasks/examples.ts'
import { closed, Task } from '../tasks/task/schema.ts'
import { formatChange, formatReady } from './format.ts'

const EventsQuery = t.Object(
  {
    since: t.Optional(
      Text({
        min: 1,
        max: 4096,
        description:
          'Where to start: `next` of the changes feed, or the `id` of an event. The header `Last-Event-ID` has precedence',
        examples: ['q1w2e3r4t5z6u7i8o9p0'],
      }),
    ),
    include: includeParam,
    ticket: t.Optional(
      Text({
        min: 1,
        max: 4096,
        description: 'From `POST /api/auth/stream-tickets`, instead of `Authorization`',
        examples: ['AbGe0f7uJqTn1dS3yQx8Rk5wLm2cVz9h'],
      }),
    ),
  },
  closed,
)

const token = { description: 'A changes token', examples: [examples.changesPage.next] }
const event = <Name extends string, Data extends Parameters<typeof t.Object>[0][string]>(
  $id: string,
  name: Name,
  data: Data,
) =>
  t.Object(
    { id: t.String(token), event: t.Literal(name), data },
    { ...closed, $id, description: `An event \`${name}\` of the stream; \`data\` is JSON` },
  )
const ReadyEvent = event('ReadyEvent', 'ready', t.Object({}, closed))
const UpsertEvent = event(
  'UpsertEvent',
  'upsert',
  t.Union([Task, t.Object({ list: List }, closed)]),
)
const DeleteEvent = event(
  'DeleteEvent',
  'delete',
  t.Union([
    t.Object({ id: Id(), deleted_at: Timestamp({}) }, closed),
    t.Object({ list_id: Id() }, closed),
  ]),
)
const ReminderEvent = event(
  'ReminderEvent',
  'reminder',
  t.Object(
    { remind_at: Timestamp({ description: 'When the reminder was due' }), task: Task },
    closed,
  ),
)
const EndEvent = t.Object(
  {
    event: t.Literal('end'),
    data: t.Object(
      {
        code: t.Union(
          ['session-ended', 'token-expired', 'draining'].map((code) => t.Literal(code)),
        ),
      },
      closed,
    ),
  },
  { ...closed, $id: 'EndEvent', description: 'The last event; `data` is JSON' },
)
/** As one event is parsed by `EventSource`. */
const StreamEvent = t.Union([ReadyEvent, UpsertEvent, DeleteEvent, ReminderEvent, EndEvent], {
  $id: 'StreamEvent',
})

/** The example of the stream: its first event, and one change. */
const example =
  formatReady(examples.changesPage.next) +
  formatChange({ op: 'upsert', task: examples.task }, examples.changesPage.next)

export const streamEvents = {
  query: EventsQuery,
  response: {
    200: StreamEvent,
    ...problemResponses('malformed-request', 'sync-expired', 'invalid-request', 'too-many-streams'),
  },
  detail: {
    tags: ['Live'] as string[],
    operationId: 'streamEvents',
    summary: 'Receive changes as they happen',
    description:
      'Server-sent events (`StreamEvent`): the changes feed as it grows. The first event is `ready`. A client that connects again with ' +
      'the last `id` misses no change and receives none twice. A comment is sent every 15 s. The last event is `end`, ' +
      'with the reason. At most 10 streams per user. With `include=lists`, `upsert` also has `{list}`, and `delete` `{list_id}`. `reminder` is sent for each reminder of a task, and is not in the changes feed.',
    'x-produces': ['text/event-stream'],
    'x-stream-ticket': true,
    'x-takes': ['Last-Event-ID'],
    'x-examples': { 'text/event-stream': example },
  },
} as const
