import { type Static, t } from 'elysia'
import { idempotencyProblems } from '../../http/idempotency.ts'
import { problemResponses } from '../../http/problem.ts'
import { ResponseBody } from '../../schema/response.ts'
import { Id, Text } from '../../schema/types.ts'
import * as examples from '../examples.ts'
import { closed, NewTask, Task, TaskPatch, Version } from '../task/schema.ts'

const BatchId = Text({ min: 1, max: 100, examples: ['0198f2c4-5c1e-7a44-9d5c-3f1f6a9b2c10'] })
const operations = { maxItems: 100 }
/** 1 to 100 operations; each id occurs at most once. */
const Batch = t.Object(
  {
    create: t.Optional(t.Array(NewTask, operations)),
    update: t.Optional(
      t.Array(
        t.Object(
          { id: BatchId, version: t.Optional(Version), ...TaskPatch.properties },
          { ...closed, $id: 'BatchUpdate' },
        ),
        operations,
      ),
    ),
    complete: t.Optional(
      t.Array(
        t.Object(
          { id: BatchId, completed: t.Optional(t.Boolean()) },
          { ...closed, $id: 'BatchCompletion' },
        ),
        operations,
      ),
    ),
    delete: t.Optional(t.Array(BatchId, operations)),
  },
  { ...closed, $id: 'Batch', examples: [examples.batch] },
)
const BatchOutcome = t.Object(
  {
    created: t.Array(Task),
    updated: t.Array(Task),
    completed: t.Array(Task),
    deleted: t.Array(Id()),
  },
  { ...closed, $id: 'BatchOutcome', examples: [examples.batchDone] },
)

export type Batch = Static<typeof Batch>
export type BatchOutcome = Static<typeof BatchOutcome>

const tags = ['Many at once']

export const batchTasks = {
  body: Batch,
  response: {
    200: ResponseBody(BatchOutcome),
    ...problemResponses('task-not-found', 'version-mismatch', ...idempotencyProblems),
  },
  detail: {
    tags,
    operationId: 'batchTasks',
    summary: 'Run up to 100 operations, all or nothing',
    description:
      '`errors[0].pointer` of a problem names the first operation that failed, such as `/update/3`. A batch counts ' +
      'as one request.',
    'x-takes': ['Idempotency-Key'],
    'x-headers': ['Idempotency-Replayed'],
  },
} as const
