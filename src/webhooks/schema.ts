import { type Static, t } from 'elysia'
import { problemResponses } from '../http/problem.ts'
import { NoBody, NoContent } from '../schema/body.ts'
import { ResponseBody } from '../schema/response.ts'
import { Enum, Id, Text, Timestamp } from '../schema/types.ts'
import { closed } from '../tasks/task/schema.ts'

export const webhookEvents = ['task.upsert', 'task.delete', 'task.reminder'] as const
export const webhooksMax = 20

const Url = Text({
  min: 1,
  max: 2000,
  format: 'uri',
  description: 'https, and an address of the public internet',
  examples: ['https://example.com/hooks/tasks'],
})
const Name = Text({ min: 1, max: 100, nullable: true, examples: ['chat bot'] })
const Events = t.Array(Enum(webhookEvents), {
  minItems: 1,
  maxItems: webhookEvents.length,
  uniqueItems: true,
  description: 'All events, unless given',
  examples: [['task.upsert', 'task.delete']],
})

const NewWebhook = t.Object(
  { url: Url, name: t.Optional(Name), events: t.Optional(Events) },
  { ...closed, $id: 'NewWebhook' },
)
const WebhookPatch = t.Object(
  {
    url: t.Optional(Url),
    name: t.Optional(Name),
    events: t.Optional(Events),
    enabled: t.Optional(
      t.Boolean({ description: '`true` continues where the deliveries have stopped' }),
    ),
  },
  { ...closed, $id: 'WebhookPatch' },
)

const Status = t.Unsafe<number | null>({
  type: ['integer', 'null'],
  description: 'Null without a response',
  examples: [500],
})
const Failure = t.Object(
  {
    at: Timestamp({}),
    status: Status,
    detail: t.String({ examples: ['no response in time'] }),
  },
  closed,
)
const webhook = {
  id: Id(),
  url: Url,
  name: Name,
  events: t.Array(Enum(webhookEvents)),
  enabled: t.Boolean(),
  disabled_reason: t.Unsafe<'gone' | 'failed' | null>({
    type: ['string', 'null'],
    enum: ['gone', 'failed', null],
    description:
      'Why the service has disabled it: the receiver responded with 410, or all attempts of three days failed',
  }),
  created_at: Timestamp({}),
  last_success_at: Timestamp({ nullable: true }),
  last_failure: t.Unsafe<Static<typeof Failure> | null>({ ...Failure, type: ['object', 'null'] }),
  pending_since: Timestamp({
    nullable: true,
    description: 'The time of the oldest change that is not delivered',
  }),
}
const Webhook = t.Object(webhook, { ...closed, $id: 'Webhook' })
const Secret = t.String({
  description:
    'Verifies the signature of deliveries (Standard Webhooks). Only this response has it',
  examples: ['whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw'],
})
const CreatedWebhook = t.Object(
  { ...webhook, secret: Secret },
  { ...closed, $id: 'CreatedWebhook' },
)
const Webhooks = t.Object({ webhooks: t.Array(Webhook) }, { ...closed, $id: 'WebhookList' })
const NewSecret = t.Object({ secret: Secret }, { ...closed, $id: 'WebhookSecret' })
const TestResult = t.Object(
  {
    status: Status,
    ok: t.Boolean(),
  },
  { ...closed, $id: 'WebhookTest' },
)
const WebhookId = t.Object({ id: Id() })

export type NewWebhook = Static<typeof NewWebhook>
export type WebhookPatch = Static<typeof WebhookPatch>
export type Webhook = Static<typeof Webhook>

const tags = ['Webhooks']
const notFound = problemResponses('webhook-not-found')

export const createWebhook = {
  body: NewWebhook,
  response: {
    201: ResponseBody(CreatedWebhook),
    ...problemResponses('invalid-request', 'too-many-webhooks'),
  },
  detail: {
    tags,
    operationId: 'createWebhook',
    summary: 'Create a webhook',
    description:
      'Sends each later change of the tasks to a URL: in the order of the changes, one at a time, at least once, by the ' +
      'Standard Webhooks specification. At most 20 per user.',
  },
}

export const listWebhooks = {
  response: { 200: ResponseBody(Webhooks) },
  detail: { tags, operationId: 'listWebhooks', summary: 'List the webhooks' },
}

export const getWebhook = {
  params: WebhookId,
  response: { 200: ResponseBody(Webhook), ...notFound },
  detail: { tags, operationId: 'getWebhook', summary: 'Get a webhook' },
}

export const updateWebhook = {
  params: WebhookId,
  body: WebhookPatch,
  response: {
    200: ResponseBody(Webhook),
    ...problemResponses('webhook-not-found', 'invalid-request'),
  },
  detail: {
    tags,
    operationId: 'updateWebhook',
    summary: 'Change, enable or disable a webhook',
    description: 'After a new URL or `enabled: true`, the next attempt is made at once.',
  },
}

export const deleteWebhook = {
  params: WebhookId,
  body: NoBody,
  response: { 204: NoContent, ...notFound },
  detail: { tags, operationId: 'deleteWebhook', summary: 'Delete a webhook' },
}

export const rotateWebhookSecret = {
  params: WebhookId,
  body: NoBody,
  response: { 200: NewSecret, ...notFound },
  detail: {
    tags,
    operationId: 'rotateWebhookSecret',
    summary: 'Replace the secret of a webhook',
    description: 'For 24 hours, deliveries have the signatures of both secrets.',
  },
}

export const testWebhook = {
  params: WebhookId,
  body: NoBody,
  response: { 200: ResponseBody(TestResult), ...notFound },
  detail: {
    tags,
    operationId: 'testWebhook',
    summary: 'Send a test message now',
    description: 'Sends `webhook.test`, waits up to 15 s, and returns the status of the receiver.',
  },
}
