import { t } from 'elysia'
import { idempotencyProblems } from '../../http/idempotency.ts'
import { problemResponses } from '../../http/problem.ts'
import { ResponseBody } from '../../schema/response.ts'
import { NoBody } from '../../schema/types.ts'
import {
  Completed,
  Completion,
  Deleted,
  NewTask,
  Task,
  TaskChanges,
  TaskId,
  TaskPage,
  TaskQuery,
  TaskReplacement,
} from './schema.ts'

/* What each route takes and answers, and what it is called: checked, typed and documented in one. */

const tags = ['Tasks']

export const list = {
  query: TaskQuery,
  response: {
    200: ResponseBody(TaskPage),
    ...problemResponses('malformed-request', 'invalid-request'),
  },
  detail: {
    tags,
    operationId: 'listTasks',
    summary: 'Find my tasks',
    description:
      'Newest first, 50 a page. Filters add up. `next_cursor` (and `Link`) leads to the next page: a task ' +
      'whose place does not change during the walk appears exactly once, whatever else changes.',
  },
}

export const add = {
  body: NewTask,
  response: { 201: ResponseBody(Task), ...problemResponses(...idempotencyProblems) },
  detail: {
    tags,
    operationId: 'createTask',
    summary: 'Add a task',
    description: 'With an `Idempotency-Key` it can be sent again without a second task.',
    'x-takes': ['Idempotency-Key'],
    'x-headers': ['Idempotency-Replayed'],
  },
} as const

export const read = {
  params: TaskId,
  response: {
    200: ResponseBody(Task),
    304: t.Undefined(),
    ...problemResponses('malformed-request', 'task-not-found'),
  },
  detail: {
    tags,
    operationId: 'readTask',
    summary: 'Read one of my tasks',
    'x-takes': ['If-None-Match'],
  },
} as const

export const replace = {
  params: TaskId,
  body: TaskReplacement,
  response: {
    200: ResponseBody(Task),
    ...problemResponses('task-not-found', 'version-mismatch', 'invalid-request'),
  },
  detail: {
    tags,
    operationId: 'replaceTask',
    summary: 'Replace one of my tasks',
    description: 'Members that are left out go back to their defaults.',
    'x-takes': ['If-Match'],
  },
} as const

export const change = {
  params: TaskId,
  body: TaskChanges,
  response: {
    200: ResponseBody(Task),
    ...problemResponses('task-not-found', 'version-mismatch', 'invalid-request'),
  },
  detail: {
    tags,
    operationId: 'changeTask',
    summary: 'Change one of my tasks',
    description: 'A merge patch (RFC 7396): members that are left out stay, null clears.',
    'x-accepts': ['application/merge-patch+json', 'application/json'],
    'x-takes': ['If-Match'],
  },
} as const

export const complete = {
  params: TaskId,
  body: Completion,
  response: {
    200: Completed,
    ...problemResponses('task-not-found', 'version-mismatch', ...idempotencyProblems),
  },
  detail: {
    tags,
    operationId: 'completeTask',
    summary: 'Complete one of my tasks, or take it back',
    description: 'Without a body it toggles; `{"completed": true}` sets.',
    'x-takes': ['If-Match', 'Idempotency-Key'],
    'x-headers': ['Idempotency-Replayed'],
  },
} as const

export const remove = {
  params: TaskId,
  body: NoBody,
  response: { 200: Deleted, ...problemResponses('task-not-found', 'version-mismatch') },
  detail: {
    tags,
    operationId: 'deleteTask',
    summary: 'Put one of my tasks into the trash',
    'x-takes': ['If-Match'],
  },
} as const
