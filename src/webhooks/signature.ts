import { createHmac, randomBytes } from 'node:crypto'

/* Standard Webhooks 1.0: https://github.com/standard-webhooks/standard-webhooks/blob/main/spec/standard-webhooks.md */

const prefix = 'whsec_'

/** A new secret: 32 random bytes; the specification permits 24 to 64. */
export const createWebhookSecret = (): string => prefix + randomBytes(32).toString('base64')

type Signed = {
  id: string
  /** Seconds since 1970. */
  timestamp: number
  body: string
}

/** The headers of a delivery. During a change of the secret, both sign. */
export const signatureHeaders = ({ id, timestamp, body }: Signed, secrets: readonly string[]) => ({
  'webhook-id': id,
  'webhook-timestamp': String(timestamp),
  'webhook-signature': secrets
    .map((secret) => {
      const key = Buffer.from(secret.slice(prefix.length), 'base64')
      return `v1,${createHmac('sha256', key).update(`${id}.${timestamp}.${body}`).digest('base64')}`
    })
    .join(' '),
})
