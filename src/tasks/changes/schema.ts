import { type Static, t } from 'elysia'
import { pagingParams } from '../../http/paging.ts'
import { problemResponses } from '../../http/problem.ts'
import { List } from '../../lists/schema.ts'
import { ResponseBody } from '../../schema/response.ts'
import { Enum, Id, IntegerParam, Text, Timestamp } from '../../schema/types.ts'
import * as examples from '../examples.ts'
import { closed, Task } from '../task/schema.ts'

/** What a copy contains beside tasks. */
export const includeParam = t.Optional(
  Enum(['lists'], {
    description: 'Lists too. A copy without lists starts again without `since`',
    examples: ['lists'],
  }),
)

const ChangesQuery = t.Object(
  {
    since: t.Optional(
      Text({
        min: 1,
        max: 4096,
        description: '`next` of the previous response; without it, all tasks',
        examples: ['q1w2e3r4t5z6u7i8o9p0'],
      }),
    ),
    include: includeParam,
    limit: pagingParams.limit,
    wait: t.Optional(
      IntegerParam({
        minimum: 0,
        maximum: 30,
        description:
          'Seconds to wait for a change if there is none (long polling). 304 waits too. If the session ends meanwhile, ' +
          'the response is 401',
        examples: [25],
        'x-default': 0,
      }),
    ),
  },
  closed,
)
const TaskUpsert = t.Object(
  { op: t.Literal('upsert'), task: Task },
  { ...closed, $id: 'TaskUpsert' },
)
const TaskRemoval = t.Object(
  { op: t.Literal('delete'), id: Id(), deleted_at: Timestamp({}) },
  { ...closed, $id: 'TaskRemoval' },
)
const ListUpsert = t.Object(
  { op: t.Literal('upsert'), list: List },
  { ...closed, $id: 'ListUpsert' },
)
const ListRemoval = t.Object(
  { op: t.Literal('delete'), list_id: Id() },
  { ...closed, $id: 'ListRemoval' },
)
const Change = t.Union([TaskUpsert, TaskRemoval, ListUpsert, ListRemoval])
const ChangesPage = t.Object(
  {
    changes: t.Array(Change),
    next: t.String({ description: 'The value of `since` for the next request' }),
    has_more: t.Boolean({ description: 'Whether there are more changes now' }),
  },
  { ...closed, $id: 'ChangePage', examples: [examples.changesPage] },
)

export type Change = Static<typeof Change>

export const listChanges = {
  query: ChangesQuery,
  response: {
    200: ResponseBody(ChangesPage),
    304: t.Undefined(),
    ...problemResponses('malformed-request', 'sync-expired', 'invalid-request'),
  },
  detail: {
    tags: ['Live'] as string[],
    operationId: 'listChanges',
    summary: 'Get the changes since the last request',
    description:
      'For keeping a copy. Without `since` it returns all tasks; with the last `next`, what has changed since, each ' +
      'task once with its newest state. No change is skipped. Without changes, `next` and `ETag` stay the same. ' +
      '`GET /api/tasks/events` is the same feed as a stream.',
    'x-takes': ['If-None-Match'],
    'x-headers': ['ETag'],
  },
} as const
