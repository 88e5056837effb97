import { createHash } from 'node:crypto'
import type { Entry } from '../tasks/changes/entries.ts'

export type Message = { id: string; type: string; body: string; timestamp: string }

/** Bytes of a body, which many receivers limit (Standard Webhooks recommends 20 kB). */
const bytesMax = 20_000

/**
 * The message of a change. Its id is the same for each attempt, and for each instance that sends it, so that a receiver
 * recognizes a repetition.
 */
export const toMessage = (webhookId: string, { change, number, id: taskId }: Entry): Message => {
  const type = `task.${change.op}`
  const id = createHash('sha256')
    .update(JSON.stringify([webhookId, number, taskId]))
    .digest('base64url')
  const { data, timestamp } = contentOf(change)
  const full = JSON.stringify({ type, timestamp, data })
  const isTooLong = Buffer.byteLength(full) > bytesMax
  const body = isTooLong
    ? JSON.stringify({ type, timestamp, data: { ...data, description: null }, truncated: true })
    : full
  return { id: `msg_${id}`, type, body, timestamp }
}

const contentOf = (change: Entry['change']) => {
  if ('list' in change || 'list_id' in change) throw new Error('a webhook reads tasks only')
  if (change.op === 'reminder') return { data: change.task, timestamp: change.remind_at }
  if (change.op === 'upsert') return { data: change.task, timestamp: change.task.updated_at }
  const { op: _op, ...data } = change
  return { data, timestamp: change.deleted_at }
}

/** The message of a test. */
export const testMessage = (webhookId: string, timestamp: string): Message => ({
  id: `msg_${Bun.randomUUIDv7()}`,
  type: 'webhook.test',
  body: JSON.stringify({ type: 'webhook.test', timestamp, data: { webhook_id: webhookId } }),
  timestamp,
})
