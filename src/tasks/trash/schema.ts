import { problemResponses } from '../../http/problem.ts'
import { ResponseBody } from '../../schema/response.ts'
import { NoBody, NoContent } from '../../schema/types.ts'
import { Task, TaskId, TrashPage, TrashQuery } from '../task/schema.ts'

/* What each route of the trash takes and answers: checked, typed and documented in one. */

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
    summary: 'What is in my trash',
    description:
      'The newest deletion first. What was deleted TRASH_DAYS (30) ago is erased by itself.',
  },
}

export const restore = {
  params: TaskId,
  body: NoBody,
  response: { 200: ResponseBody(Task), ...problemResponses('task-not-found', 'version-mismatch') },
  detail: {
    tags,
    operationId: 'restoreTask',
    summary: 'Take a task out of the trash',
    'x-takes': ['If-Match'],
  },
} as const

export const erase = {
  params: TaskId,
  body: NoBody,
  response: { 204: NoContent, ...problemResponses('task-not-found') },
  detail: { tags, operationId: 'eraseTask', summary: 'Erase a task in the trash' },
}

export const emptyTrash = {
  body: NoBody,
  response: { 204: NoContent },
  detail: {
    tags,
    operationId: 'emptyTrash',
    summary: 'Erase all that is in the trash',
  },
}
