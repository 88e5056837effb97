import { dial, type Wire } from './wire.ts'

/** One HTTP/1.1 message: the head without its final line end, and all bytes as received. */
export type Message = { head: string; body: Buffer; bytes: Buffer }

/**
 * Splits a stream of bytes into messages. Bodies have a `Content-Length`, because the routes that are called send no
 * others. A chunked body is an error.
 */
export const framer = () => {
  let held: Buffer = Buffer.alloc(0)
  return (bytes: Buffer): Message[] => {
    held = held.length === 0 ? bytes : Buffer.concat([held, bytes])
    const messages: Message[] = []
    for (;;) {
      const headEnds = held.indexOf('\r\n\r\n')
      if (headEnds === -1) return messages
      const head = held.toString('latin1', 0, headEnds)
      if (/^transfer-encoding:/im.test(head)) throw new Error(`a chunked body: ${head}`)
      const ends = headEnds + 4 + Number(header(head, 'content-length') ?? 0)
      if (held.length < ends) return messages
      messages.push({
        head,
        body: held.subarray(headEnds + 4, ends),
        bytes: held.subarray(0, ends),
      })
      held = held.subarray(ends)
    }
  }
}

export const header = (head: string, name: string): string | undefined =>
  new RegExp(`^${name}: *(.*?) *$`, 'im').exec(head)?.[1]

/** No response in time. No fault excuses this. */
export class Hung extends Error {}
/** The connection ended before the response. */
export class Cut extends Error {}
/** The connection was refused: nothing was sent. */
export class Refused extends Error {}

export type Channel = {
  readonly closed: boolean
  /** Sends one request and waits for its response. Only one request may be in flight. */
  exchange(bytes: Uint8Array, timeoutMs: number): Promise<Message>
  close(): void
}

/** A connection for one request at a time. */
export const openChannel = async (port: number): Promise<Channel> => {
  const frames = framer()
  let waiting: PromiseWithResolvers<Message> | undefined
  const lose = (error: Error) => {
    waiting?.reject(error)
    waiting = undefined
  }
  const wire: Wire = await dial(port, {
    data: (bytes) => {
      try {
        for (const message of frames(bytes)) {
          waiting?.resolve(message)
          waiting = undefined
        }
      } catch (error) {
        lose(error as Error)
      }
    },
    closed: () => lose(new Cut('the connection was lost')),
  }).catch(() => {
    throw new Refused(`no server listens on ${port}`)
  })

  return {
    get closed() {
      return wire.closed
    },
    exchange: async (bytes, timeoutMs) => {
      if (wire.closed) throw new Cut('the connection is closed')
      waiting = Promise.withResolvers<Message>()
      const { promise } = waiting
      const timer = setTimeout(() => {
        lose(new Hung(`no answer in ${timeoutMs} ms`))
        wire.reset()
      }, timeoutMs)
      wire.write(bytes)
      return promise.finally(() => clearTimeout(timer))
    },
    close: () => wire.end(),
  }
}

export type Sent = {
  method: string
  path: string
  token?: string | undefined
  body?: unknown
  headers?: Record<string, string>
}

export type Answer = {
  status: number
  header(name: string): string | undefined
  // biome-ignore lint/suspicious/noExplicitAny: a test reads bodies of any shape
  body: any
  ms: number
}

/** A request as UTF-8 bytes, with its length. */
export const bytesOf = ({ method, path, token, body, headers = {} }: Sent): Buffer => {
  const payload = body === undefined ? '' : typeof body === 'string' ? body : JSON.stringify(body)
  const lines = [
    `${method} ${path} HTTP/1.1`,
    'host: taskwarden.test',
    ...(token === undefined ? [] : [`authorization: Bearer ${token}`]),
    ...(body === undefined ? [] : ['content-type: application/json']),
    ...(method === 'GET' ? [] : [`content-length: ${Buffer.byteLength(payload)}`]),
    ...Object.entries(headers).map(([name, value]) => `${name}: ${value}`),
  ]
  return Buffer.from(`${lines.join('\r\n')}\r\n\r\n${payload}`)
}

export const answerOf = ({ head, body }: Message, ms: number): Answer => {
  const text = body.toString()
  const isJson = /[/+]json/.test(header(head, 'content-type') ?? '')
  return {
    status: Number(head.slice(9, 12)),
    header: (name) => header(head, name),
    body: isJson && text !== '' ? JSON.parse(text) : undefined,
    ms,
  }
}

/** The deadline of the service (5 s) and a tolerance for a busy machine. */
export const hungMs = 7000

/** A client with one kept connection, which is replaced when it is lost. */
export const client = (port: number) => {
  let channel: Channel | undefined
  return {
    send: async (sent: Sent, timeoutMs = hungMs): Promise<Answer> => {
      const from = performance.now()
      if (channel === undefined || channel.closed) channel = await openChannel(port)
      const message = await channel.exchange(bytesOf(sent), timeoutMs)
      if (header(message.head, 'connection')?.toLowerCase() === 'close') {
        channel.close()
        channel = undefined
      }
      return answerOf(message, performance.now() - from)
    },
    close: () => channel?.close(),
  }
}

export type Client = ReturnType<typeof client>
