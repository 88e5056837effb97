import { onBehalfOf } from './recorded-statements/log.ts'

/** One event, as `EventSource` parses it. */
export type StreamEvent = {
  id: string | undefined
  event: string
  // biome-ignore lint/suspicious/noExplicitAny: a test reads data of any shape
  data: any
}

/** Parses the text of a stream by the HTML Standard, section 9.2.6. Comments are counted. */
export const createEventParser = () => {
  let text = ''
  let comments = 0
  return {
    comments: () => comments,
    push: (chunk: string): StreamEvent[] => {
      text += chunk
      const parts = text.split('\n\n')
      text = parts.pop() ?? ''
      return parts.flatMap((part) => {
        const fields = new Map<string, string>()
        for (const line of part.split('\n')) {
          if (line.startsWith(':')) comments++
          const [, name = '', value = ''] = /^(\w+): ?(.*)$/.exec(line) ?? []
          if (name !== '') fields.set(name, value)
        }
        if (!fields.has('data')) return []
        const { event = '', data = '', id } = Object.fromEntries(fields)
        return [{ id, event, data: JSON.parse(data) }]
      })
    },
  }
}

export type OpenOptions = { token?: string; query?: string; lastEventId?: string }

/** Opens an event stream of an app, and reads it in the background until `close`. */
export const openStream = async (
  app: { fetch: (request: Request) => Response | Promise<Response> },
  { token, query = '', lastEventId }: OpenOptions,
) => {
  const headers = new Headers()
  if (token !== undefined) headers.set('authorization', `Bearer ${token}`)
  if (lastEventId !== undefined) headers.set('last-event-id', lastEventId)
  const request = new Request(`http://localhost/api/tasks/events${query}`, { headers })
  const response = await app.fetch(request)
  const { status } = response
  if (status !== 200) {
    const problem = (await response.json()) as { code: string }
    return { status, code: problem.code, headers: response.headers, ...closed }
  }

  const events: StreamEvent[] = []
  const { push, comments } = createEventParser()
  let isEnded = false
  let changed = Promise.withResolvers<void>()
  const reader = response.body!.getReader()
  const decoder = new TextDecoder()
  const reading = onBehalfOf(request, async () => {
    for (;;) {
      const { done, value } = await reader.read()
      if (done) break
      events.push(...push(decoder.decode(value, { stream: true })))
      changed.resolve()
      changed = Promise.withResolvers()
    }
    isEnded = true
    changed.resolve()
  })

  return {
    status,
    code: '',
    headers: response.headers,
    events,
    comments,
    isEnded: () => isEnded,
    lastId: () => events.findLast(({ id }) => id !== undefined)?.id ?? '',
    /** Waits until the stream has this many events, or has ended. */
    until: async (count: number) => {
      while (events.length < count && !isEnded) await changed.promise
      return events
    },
    ended: () => reading,
    close: () => reader.cancel(),
  }
}

const closed = {
  events: [] as StreamEvent[],
  comments: () => 0,
  isEnded: () => true,
  lastId: () => '',
  until: async () => [] as StreamEvent[],
  ended: async () => {},
  close: async () => {},
}
