import { type Static, t } from 'elysia'
import { NextCursor, pagingParams } from '../../http/paging.ts'
import { problemResponses } from '../../http/problem.ts'
import { ResponseBody } from '../../schema/response.ts'
import {
  BooleanParam,
  Day,
  Enum,
  ListParam,
  SortParam,
  Text,
  Timestamp,
} from '../../schema/types.ts'
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

const dayFilter = (description: string) =>
  t.Optional(Day({ description, examples: ['2026-12-24'] }))

const TagParam = (description: string) =>
  t.Optional(
    ListParam(Text({ min: 1, max: 50 }), { maxItems: 20, description, examples: [['home']] }),
  )

export const TaskQuery = t.Object(
  {
    completed: t.Optional(BooleanParam({ examples: [false] })),
    priority: t.Optional(
      ListParam(Priority, {
        maxItems: 4,
        description: 'Tasks with this priority; if repeated, with one of these',
        examples: [['high', 'urgent']],
      }),
    ),
    tag: TagParam('Tasks with this tag; if repeated, with all of these tags'),
    tags_any: TagParam('Tasks with one of these tags'),
    q: t.Optional(
      Text({
        min: 1,
        max: 200,
        description: 'Words that all occur in title or description, case-insensitive',
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
    completed_before: timeFilter('Completed before this time'),
    completed_after: timeFilter('Completed after this time'),
    due_on_before: dayFilter('Due on a day before this one'),
    due_on_after: dayFilter('Due on a day after this one'),
    due: t.Optional(
      Enum(['today', 'week', 'none'], {
        description:
          'Due today, today or in the next six days, or never; by the time zone of the user',
        examples: ['today'],
      }),
    ),
    overdue: t.Optional(
      BooleanParam({
        description: 'Not completed, and due before now, or on a day before today',
        examples: [true],
      }),
    ),
    sort: t.Optional(SortParam(Sort, 3, { 'x-default': '-created_at' })),
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
