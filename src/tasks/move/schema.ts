import { type Static, t } from 'elysia'
import { problemResponses } from '../../http/problem.ts'
import { ResponseBody } from '../../schema/response.ts'
import { Reference } from '../../schema/types.ts'
import * as examples from '../examples.ts'
import { closed, ListId, Task, TaskId } from '../task/schema.ts'

/** Where something goes: before or after another one, or to the end. */
export const Move = t.Object({
  before: t.Optional(Reference({ description: 'Right before this one' })),
  after: t.Optional(Reference({ description: 'Right after this one' })),
})
const TaskMove = t.Object(
  { list_id: t.Optional(ListId), ...Move.properties },
  { ...closed, $id: 'TaskMove', examples: [examples.move] },
)
export type Move = Static<typeof Move>

const tags = ['Tasks']

export const moveTask = {
  params: TaskId,
  body: TaskMove,
  response: {
    200: ResponseBody(Task),
    ...problemResponses('task-not-found', 'version-mismatch', 'invalid-request'),
  },
  detail: {
    tags,
    operationId: 'moveTask',
    summary: 'Move a task',
    description:
      'Right before or after another task of the list, or to its end. `list_id` moves it to another list.',
    'x-takes': ['If-Match'],
  },
} as const
