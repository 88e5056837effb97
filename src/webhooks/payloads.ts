import { t } from 'elysia'
import type { WebhookMessage } from '../http/openapi/webhooks.ts'
import { Id, Timestamp } from '../schema/types.ts'
import * as examples from '../tasks/examples.ts'
import { closed, Task } from '../tasks/task/schema.ts'

const at = Timestamp({ description: 'When it happened' })

const UpsertMessage = t.Object(
  {
    type: t.Literal('task.upsert'),
    timestamp: at,
    data: Task,
    truncated: t.Optional(
      t.Literal(true, {
        description: 'The body would have more than 20 kB, so that `description` is null',
      }),
    ),
  },
  {
    ...closed,
    $id: 'TaskUpsertMessage',
    examples: [{ type: 'task.upsert', timestamp: examples.task.updated_at, data: examples.task }],
  },
)
const [, removal] = examples.changesPage.changes
const DeleteMessage = t.Object(
  {
    type: t.Literal('task.delete'),
    timestamp: at,
    data: t.Object({ id: Id(), deleted_at: Timestamp({}) }, closed),
  },
  {
    ...closed,
    $id: 'TaskDeleteMessage',
    examples: [
      {
        type: 'task.delete',
        timestamp: examples.trashedTask.deleted_at,
        data: { id: removal?.id, deleted_at: examples.trashedTask.deleted_at },
      },
    ],
  },
)
const ReminderMessage = t.Object(
  {
    type: t.Literal('task.reminder'),
    timestamp: Timestamp({ description: 'When the reminder was due' }),
    data: Task,
    truncated: UpsertMessage.properties.truncated,
  },
  {
    ...closed,
    $id: 'TaskReminderMessage',
    examples: [
      { type: 'task.reminder', timestamp: '2026-12-24T17:30:00.000Z', data: examples.task },
    ],
  },
)
const TestMessage = t.Object(
  {
    type: t.Literal('webhook.test'),
    timestamp: at,
    data: t.Object({ webhook_id: Id() }, closed),
  },
  {
    ...closed,
    $id: 'WebhookTestMessage',
    examples: [
      {
        type: 'webhook.test',
        timestamp: examples.task.updated_at,
        data: { webhook_id: examples.task.id },
      },
    ],
  },
)

const signed = 'Signed by the Standard Webhooks specification.'

/** What a receiver gets, for the OpenAPI document. */
export const webhookMessages: WebhookMessage[] = [
  {
    type: 'task.upsert',
    summary: 'A task was created, changed or restored',
    description: `The task as it is now: several changes may be one message. ${signed}`,
    body: UpsertMessage,
  },
  {
    type: 'task.delete',
    summary: 'A task was moved to the trash or erased',
    description: signed,
    body: DeleteMessage,
  },
  {
    type: 'task.reminder',
    summary: 'A reminder of a task is due',
    description: `Each reminder is one message. ${signed}`,
    body: ReminderMessage,
  },
  {
    type: 'webhook.test',
    summary: 'A test that the user has requested',
    description: signed,
    body: TestMessage,
  },
]
