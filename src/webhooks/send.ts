import { version } from '../../package.json' with { type: 'json' }
import { epochMs } from '../db/clock.ts'
import { type Destinations, Undeliverable } from './destination.ts'
import type { Message } from './message.ts'
import { parseRetryAfter } from './retries.ts'
import { signatureHeaders } from './signature.ts'

/** What a receiver said. Without a response, `status` is null and `detail` says why. */
export type Outcome = {
  ok: boolean
  status: number | null
  detail: string
  retryAfterSeconds: number
}

type Receiver = { url: string; secrets: readonly string[] }

const timeoutMs = 15_000
const responseBytesMax = 65_536

/**
 * Returns the function that sends a message once.
 *
 * Bun's `fetch` ignores a custom `lookup`, so that a name could be resolved to another address after the check. It
 * connects to the checked address itself, with the `Host` and the TLS server name of the URL. Connections are not kept:
 * the next one to the same address may be for another name, whose certificate would not be checked.
 */
export const createSend =
  (destinations: Destinations, deadlineMs = timeoutMs) =>
  async ({ url: text, secrets }: Receiver, message: Message): Promise<Outcome> => {
    const signal = AbortSignal.timeout(deadlineMs)
    try {
      const url = new URL(text)
      const addresses = await within(destinations.find(url), signal)
      const response = await postToFirst(url, addresses, { message, secrets, signal })
      await discard(response)
      const { ok, status, headers } = response
      const retryAfterSeconds = parseRetryAfter(headers.get('retry-after'), epochMs())
      return { ok, status, detail: ok ? '' : detailOf(status), retryAfterSeconds }
    } catch (error) {
      return { ok: false, status: null, detail: reasonOf(error), retryAfterSeconds: 0 }
    }
  }

export type Send = ReturnType<typeof createSend>

type Sending = { message: Message; secrets: readonly string[]; signal: AbortSignal }

/** The response of the first address that gives one: a machine may have no route to those of IPv6. */
const postToFirst = async (url: URL, addresses: readonly string[], sending: Sending) => {
  for (const address of addresses.slice(0, -1)) {
    const response = await post(url, address, sending).catch(() => undefined)
    if (response !== undefined) return response
  }
  return post(url, addresses.at(-1) ?? '', sending)
}

const post = (url: URL, address: string, { message, secrets, signal }: Sending) =>
  fetch(withHost(url, address), {
    method: 'POST',
    headers: {
      host: url.host,
      'content-type': 'application/json',
      'user-agent': `Taskwarden/${version}`,
      ...signatureHeaders({ ...message, timestamp: Math.floor(epochMs() / 1000) }, secrets),
    },
    body: message.body,
    redirect: 'manual',
    keepalive: false,
    decompress: false,
    proxy: '',
    signal,
    tls: { serverName: url.hostname.replace(/^\[|\]$/g, '') },
  })

const withHost = (url: URL, address: string): string => {
  const target = new URL(url)
  target.hostname = address.includes(':') ? `[${address}]` : address
  return target.href
}

/** Reads a limited part of the body, and closes the connection. */
const discard = async ({ body }: Response): Promise<void> => {
  const reader = body?.getReader()
  let bytes = 0
  for (;;) {
    const read = await reader?.read()
    bytes += read?.value?.length ?? 0
    if (read === undefined || read.done || bytes >= responseBytesMax) break
  }
  await reader?.cancel().catch(() => {})
}

const within = async <Result>(work: Promise<Result>, signal: AbortSignal): Promise<Result> => {
  const { promise, reject } = Promise.withResolvers<never>()
  const abort = () => reject(signal.reason)
  signal.addEventListener('abort', abort)
  try {
    return await Promise.race([work, promise])
  } finally {
    signal.removeEventListener('abort', abort)
  }
}

const detailOf = (status: number): string =>
  status >= 300 && status < 400
    ? `status ${status}: redirects are not followed`
    : `status ${status}`

const reasons: Record<string, string> = {
  ConnectionRefused: 'the connection was refused',
  ECONNREFUSED: 'the connection was refused',
  ECONNRESET: 'the connection was closed',
  TimeoutError: 'no response in time',
}

/** Never the text of an error, which may show what the operator's network says. */
const reasonOf = (error: unknown): string => {
  if (error instanceof Undeliverable) return error.message
  const { name = '', code = '' } = error as { name?: string; code?: unknown }
  if (/CERT|TLS|SSL|VERIFY|SELF_SIGNED/i.test(String(code))) return 'the certificate is not valid'
  return reasons[String(code)] ?? reasons[name] ?? 'the connection failed'
}
