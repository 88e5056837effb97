import { type Static, t } from 'elysia'
import { idempotencyProblems } from '../../http/idempotency.ts'
import { problemResponses } from '../../http/problem.ts'
import { titleLengthMax } from '../../limits.ts'
import { NoBody } from '../../schema/body.ts'
import { withDefaults } from '../../schema/defaults.ts'
import { ResponseBody } from '../../schema/response.ts'
import { Enum, Id, Integer, Text, Timestamp } from '../../schema/types.ts'
import * as examples from '../examples.ts'

export const closed = { additionalProperties: false }

export const Title = Text({ min: 1, max: titleLengthMax, blank: false, examples: ['Buy milk'] })
const Description = Text({ min: 0, max: 10_000, nullable: true, examples: [null] })
export const Priority = Enum(['low', 'normal', 'high', 'urgent'], {
  $id: 'Priority',
  examples: ['normal'],
})
export const Version = Integer({
  minimum: 1,
  maximum: 2_147_483_647,
  description: 'Incremented by each write',
  examples: [1],
})
const DueAt = Timestamp({ nullable: true, examples: ['2026-12-24T18:00:00.000Z'] })
const Tags = t.Array(Text({ min: 1, max: 50 }), {
  maxItems: 20,
  uniqueItems: true,
  examples: [['home']],
})

export const Task = t.Object(
  {
    id: Id(),
    user_id: Id({ description: 'The owner: the user of the token' }),
    title: Title,
    description: Description,
    completed: t.Boolean(),
    completed_at: Timestamp({ nullable: true }),
    priority: Priority,
    due_at: DueAt,
    tags: Tags,
    version: Version,
    created_at: Timestamp({}),
    updated_at: Timestamp({}),
  },
  { ...closed, $id: 'Task', 'x-headers': ['ETag'], examples: [examples.task] },
)

export const optional = {
  description: t.Optional(Description),
  priority: t.Optional(Priority),
  due_at: t.Optional(DueAt),
  tags: t.Optional(Tags),
}
export const defaults = { priority: 'normal', tags: [] }
export const NewTask = t.Object(
  { title: Title, ...withDefaults(optional, defaults) },
  { ...closed, $id: 'NewTask', examples: [examples.newTask] },
)
/** Members that the server sets are accepted in any form, so that a task can be sent back as it was read. */
const ignored = t.Optional(t.Unknown({ description: 'Ignored' }))
export const ignoredMembers = {
  id: ignored,
  user_id: ignored,
  version: ignored,
  updated_at: ignored,
}
/** All members that a client can set. Absent members get their defaults. */
export const TaskReplacement = t.Object(
  {
    title: Title,
    completed: t.Optional(t.Boolean({ 'x-default': false })),
    ...withDefaults(optional, defaults),
    ...ignoredMembers,
    completed_at: ignored,
    created_at: ignored,
  },
  { ...closed, $id: 'TaskReplacement', examples: [examples.replacement] },
)

/** Without a body the route toggles, `{completed}` sets. */
const Completion = t.Union([
  t.Undefined(),
  t.Object(
    { completed: t.Boolean() },
    { ...closed, $id: 'CompletionRequest', examples: [examples.completion] },
  ),
])
const Completed = t.Object(
  { success: t.Literal(true), completed: t.Boolean({ examples: [true] }) },
  { ...closed, $id: 'CompletionResult', 'x-headers': ['ETag'] },
)
const Deleted = t.Object({ success: t.Literal(true) }, { ...closed, $id: 'DeletionResult' })

/** RFC 7396: absent members stay, null clears. */
export const TaskPatch = t.Partial(
  t.Object({ title: Title, completed: t.Boolean(), ...optional }),
  { ...closed, $id: 'TaskPatch', examples: [examples.changes] },
)

export const TaskId = t.Object({ id: Id() })

export type Task = Static<typeof Task>
export type NewTask = Static<typeof NewTask>
export type TaskReplacement = Static<typeof TaskReplacement>
export type TaskPatch = Static<typeof TaskPatch>

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
    200: Completed,
    ...problemResponses('task-not-found', 'version-mismatch', ...idempotencyProblems),
  },
  detail: {
    tags,
    operationId: 'completeTask',
    summary: 'Complete a task, or undo it',
    description: 'Without a body it toggles; `{"completed": true}` sets.',
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
