import type { Entry } from '../tasks/changes/entries.ts'

/* Server-sent events (HTML Standard, section 9.2). JSON has no line breaks, so each event has one `data` line. */

const encode = (text: string): Uint8Array => new TextEncoder().encode(text)

/** Milliseconds until a browser connects again after the stream ends. */
const retryMs = 2000

export type EndCode = 'session-ended' | 'token-expired' | 'draining'

/** The first event. */
export const formatReady = (token: string): string =>
  `retry: ${retryMs}\nid: ${token}\nevent: ready\ndata: {}\n\n`

/** `token`: the position of a copy that has the change. */
export const formatChange = ({ op, ...data }: Entry['change'], token: string): string => {
  const isTask = 'task' in data && !('remind_at' in data)
  return `id: ${token}\nevent: ${op}\ndata: ${JSON.stringify(isTask ? data.task : data)}\n\n`
}

/** The last event. */
export const formatEnd = (code: EndCode): string =>
  `event: end\ndata: ${JSON.stringify({ code })}\n\n`

/**
 * Sent when nothing follows an event: a proxy that passes data on in blocks of 4 KiB would keep the event until the next
 * ones.
 */
export const padding = encode(`:${' '.repeat(4096)}\n\n`)

/** Keeps proxies from closing an idle connection. */
export const keepAlive = encode(': keep-alive\n\n')
