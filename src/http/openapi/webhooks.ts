import { exampleOf, plain, type Schema, type Schemas } from './schemas.ts'

/** A message that the service sends to a URL of the user. */
export type WebhookMessage = {
  /** The `type` of its body. */
  type: string
  summary: string
  description: string
  body: Schema
}

const headers = {
  'webhook-id': 'The id of the message, the same for each attempt',
  'webhook-timestamp': 'The time of the attempt, in seconds since 1970',
  'webhook-signature': 'One or two signatures (`v1,…`), separated by a space',
}

/** The schemas of the bodies. */
export const bodiesOf = (messages: readonly WebhookMessage[]): Schema[] =>
  JSON.parse(JSON.stringify(messages.map(({ body }) => body)))

/** The `webhooks` of the document: what a receiver implements (OpenAPI 3.1, section 4.8.1). */
export const toWebhooks = (messages: readonly WebhookMessage[], schemas: Schemas) =>
  Object.fromEntries(
    messages.map(({ type, summary, description, body }) => [
      type,
      {
        post: {
          operationId: `on${type.replace(/(?:^|\.)(\w)/g, (_, letter) => letter.toUpperCase())}`,
          summary,
          description,
          tags: ['Webhooks'],
          security: [],
          parameters: Object.entries(headers).map(([name, text]) => ({
            in: 'header',
            name,
            required: true,
            description: text,
            schema: { type: 'string' },
          })),
          requestBody: {
            required: true,
            content: {
              'application/json': { schema: plain(body), example: exampleOf(plain(body), schemas) },
            },
          },
          responses: {
            '2XX': {
              description: 'Received. Any other status, or none within 15 s, is tried again.',
            },
            410: { description: 'The webhook is disabled.' },
          },
        },
      },
    ]),
  )
