import { type Static, t } from 'elysia'
import { NextCursor, pagingParams } from '../../http/paging.ts'
import { problemResponses } from '../../http/problem.ts'
import { ResponseBody } from '../../schema/response.ts'
import { BooleanParam, Enum, ListParam, Text, Timestamp } from '../../schema/types.ts'
import { closed, Priority, Task } from '../task/schema.ts'

/** `created_at` → `CreatedAt`. */
const nameOf = (sort: string) =>
  sort.replaceAll(/(^|_)(.)/g, (_, _mark, first) => first.toUpperCase())
const sorts = ['created_at', 'updated_at', 'due_at', 'priority', 'title', 'position'] as const
export const Sort = Enum([...sorts, ...sorts.map((sort) => `-${sort}` as const)], {
  $id: 'Sort',
  description: '`-` sorts descending. Tasks without a due date sort last.',
  examples: ['-priority'],
  'x-enum-varnames': [...sorts.map(nameOf), ...sorts.map((sort) => `${nameOf(sort)}Descending`)],
})

const timeFilter = (description: string) =>
  t.Optional(Timestamp({ description, examples: ['2026-12-24T18:00:00Z'] }))

export const TaskQuery = t.Object(
  {
    completed: t.Optional(BooleanParam({ examples: [false] })),
    priority: t.Optional(Priority),
    tag: t.Optional(
      ListParam(Text({ min: 1, max: 50 }), {
        maxItems: 20,
        description: 'Tasks with this tag; if repeated, with all of these tags',
        examples: [['home']],
      }),
    ),
    q: t.Optional(
      Text({
        min: 1,
        max: 200,
        description: 'Text in title or description, case-insensitive',
        examples: ['milk'],
      }),
    ),
    list_id: t.Optional(
      Text({
        min: 1,
        max: 100,
        description: 'Tasks of this list, or of the `inbox`',
        examples: ['inbox'],
      }),
    ),
    due_before: timeFilter('Due before this time'),
    due_after: timeFilter('Due after this time'),
    updated_after: timeFilter('Changed after this time'),
    sort: t.Optional({ ...Sort, 'x-default': '-created_at' }),
    ...pagingParams,
  },
  closed,
)

export const TaskPage = t.Object(
  { tasks: t.Array(Task), next_cursor: NextCursor },
  { ...closed, $id: 'TaskPage', 'x-headers': ['Link'] },
)

export type TaskQuery = Static<typeof TaskQuery>
export type Sort = Static<typeof Sort>

export const listTasks = {
  query: TaskQuery,
  response: {
    200: ResponseBody(TaskPage),
    ...problemResponses('malformed-request', 'invalid-request'),
  },
  detail: {
    tags: ['Tasks'],
    operationId: 'listTasks',
    summary: 'List tasks',
    description:
      'Newest first, 50 per page. All filters must match. `next_cursor` (and `Link`) leads to the next page. A task ' +
      'whose sort key and filters do not change meanwhile appears exactly once.',
  },
}
