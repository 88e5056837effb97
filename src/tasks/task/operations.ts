import { t } from 'elysia'
import { idempotencyProblems } from '../../http/idempotency.ts'
import { problemResponses } from '../../http/problem.ts'
import { NoBody } from '../../schema/body.ts'
import { ResponseBody } from '../../schema/response.ts'
import * as examples from '../examples.ts'
import { closed, NewTask, Task, TaskId, TaskPatch, TaskReplacement } from './schema.ts'

/** Without a body the route toggles, `{completed}` sets. */
const Completion = t.Union([
  t.Undefined(),
  t.Object(
    { completed: t.Boolean() },
    { ...closed, $id: 'CompletionRequest', examples: [examples.completion] },
  ),
])
const Completed = t.Object(
  {
    success: t.Literal(true),
    completed: t.Boolean({ examples: [true] }),
    next: t.Optional(
      t.Union([Task, t.Null()], {
        description: 'Only for a recurring task: the next one of its series; null if there is none',
      }),
    ),
  },
  { ...closed, $id: 'CompletionResult', 'x-headers': ['ETag'], examples: [examples.completed] },
)
const Deleted = t.Object({ success: t.Literal(true) }, { ...closed, $id: 'DeletionResult' })

const tags = ['Tasks']

export const createTask = {
  body: NewTask,
  response: { 201: ResponseBody(Task), ...problemResponses(...idempotencyProblems) },
  detail: {
    tags,
    operationId: 'createTask',
    summary: 'Create a task',
    description: 'With an `Idempotency-Key`, a repeated request creates no second task.',
    'x-takes': ['Idempotency-Key'],
    'x-headers': ['Idempotency-Replayed'],
  },
} as const

export const getTask = {
  params: TaskId,
  response: {
    200: ResponseBody(Task),
    304: t.Undefined(),
    ...problemResponses('malformed-request', 'task-not-found'),
  },
  detail: {
    tags,
    operationId: 'getTask',
    summary: 'Get a task',
    'x-takes': ['If-None-Match'],
  },
} as const

export const replaceTask = {
  params: TaskId,
  body: TaskReplacement,
  response: {
    200: ResponseBody(Task),
    ...problemResponses('task-not-found', 'version-mismatch', 'invalid-request'),
  },
  detail: {
    tags,
    operationId: 'replaceTask',
    summary: 'Replace a task',
    description: 'Absent members get their defaults. Members that the server sets are ignored.',
    'x-takes': ['If-Match'],
  },
} as const

export const updateTask = {
  params: TaskId,
  body: TaskPatch,
  response: {
    200: ResponseBody(Task),
    ...problemResponses('task-not-found', 'version-mismatch', 'invalid-request'),
  },
  detail: {
    tags,
    operationId: 'updateTask',
    summary: 'Update a task',
    description: 'A merge patch (RFC 7396): absent members stay, null clears, `{}` keeps all.',
    'x-accepts': ['application/merge-patch+json', 'application/json'],
    'x-takes': ['If-Match'],
  },
} as const

export const completeTask = {
  params: TaskId,
  body: Completion,
  response: {
    200: ResponseBody(Completed),
    ...problemResponses('task-not-found', 'version-mismatch', ...idempotencyProblems),
  },
  detail: {
    tags,
    operationId: 'completeTask',
    summary: 'Complete a task, or undo it',
    description:
      'Without a body it toggles; `{"completed": true}` sets. A recurring task creates its `next` one, once; undoing that ' +
      'removes it unless it was changed.',
    'x-takes': ['If-Match', 'Idempotency-Key'],
    'x-headers': ['Idempotency-Replayed'],
  },
} as const

export const deleteTask = {
  params: TaskId,
  body: NoBody,
  response: { 200: Deleted, ...problemResponses('task-not-found', 'version-mismatch') },
  detail: {
    tags,
    operationId: 'deleteTask',
    summary: 'Move a task to the trash',
    'x-takes': ['If-Match'],
  },
} as const
