import { type Static, t } from 'elysia'
import { NextCursor, pagingParams } from '../../http/paging.ts'
import { problemResponses } from '../../http/problem.ts'
import { NoBody, NoContent } from '../../schema/body.ts'
import { ResponseBody } from '../../schema/response.ts'
import { Timestamp } from '../../schema/types.ts'
import * as examples from '../examples.ts'
import { closed, Task, TaskId } from '../task/schema.ts'

const TrashQuery = t.Object(pagingParams, closed)
const TrashedTask = t.Object(
  { ...Task.properties, deleted_at: Timestamp({}) },
  { ...closed, $id: 'TrashedTask', examples: [examples.trashedTask] },
)
const TrashPage = t.Object(
  { tasks: t.Array(TrashedTask), next_cursor: NextCursor },
  { ...closed, $id: 'TrashPage', 'x-headers': ['Link'] },
)

export type TrashedTask = Static<typeof TrashedTask>

const tags = ['Trash']

export const listTrash = {
  query: TrashQuery,
  response: {
    200: ResponseBody(TrashPage),
    ...problemResponses('malformed-request', 'invalid-request'),
  },
  detail: {
    tags,
    operationId: 'listTrash',
    summary: 'List the trash',
    description:
      'Newest deletion first. Tasks are erased automatically after some time in the trash.',
  },
}

export const restoreTask = {
  params: TaskId,
  body: NoBody,
  response: {
    200: ResponseBody(Task),
    ...problemResponses('task-not-found', 'version-mismatch'),
  },
  detail: {
    tags,
    operationId: 'restoreTask',
    summary: 'Restore a task from the trash',
    'x-takes': ['If-Match'],
  },
} as const

export const eraseTask = {
  params: TaskId,
  body: NoBody,
  response: { 204: NoContent, ...problemResponses('task-not-found') },
  detail: { tags, operationId: 'eraseTask', summary: 'Erase a task in the trash' },
}

export const emptyTrash = {
  body: NoBody,
  response: { 204: NoContent },
  detail: { tags, operationId: 'emptyTrash', summary: 'Erase all tasks in the trash' },
}
