import { type Api, Offline } from './api.ts'
import type { Copy } from './copy.ts'
import { sync } from './sync.ts'

/** The service sends a comment every 15 s. A connection without any is dead. */
const silentMsMax = 40_000

/** Syncs at once, and then each time that the event stream of the service has a change. */
export const watch = async (copy: Copy, api: Api, url: string, synced: () => void) => {
  for (;;) {
    await sync(copy, api)
    synced()
    await nextChange(url, copy.state)
  }
}

/** Resolves at the next change, or when the stream ends. */
const nextChange = async (url: string, { since, session }: Copy['state']) => {
  const silence = new AbortController()
  const timer = setTimeout(() => silence.abort(), silentMsMax)
  try {
    const response = await fetch(`${url}/api/tasks/events?since=${since}`, {
      headers: { authorization: `Bearer ${session.token}` },
      signal: silence.signal,
    })
    const decoder = new TextDecoder()
    let text = ''
    for await (const chunk of response.body ?? []) {
      timer.refresh()
      text += decoder.decode(chunk, { stream: true })
      if (/^event: (upsert|delete|end)$/m.test(text)) return
    }
  } catch (cause) {
    if (!silence.signal.aborted) throw new Offline(`${url} does not answer`, { cause })
  } finally {
    clearTimeout(timer)
    silence.abort()
  }
}
