import { connect, type Socket } from 'node:net'
import { createServer } from '../../src/http/server.ts'
import { createLog } from '../../src/log.ts'
import type { Answer, Service } from '../support/service.ts'

/** A service behind the HTTP server of the process, on a port of loopback. */
export const listening = ({ app }: Service) => {
  const silent = createLog(() => {}, 'silent')
  const server = createServer(
    { host: '127.0.0.1', port: 0, drainMs: 0 },
    (request) => app.fetch(request),
    silent,
  ).start()
  return { port: Number(server.url.port), origin: server.url.origin, stop: server.stop }
}

/** `onQuiet` is called if the server did not close the connection. */
type Sending = { quietMs?: number; gapMs?: number; onQuiet?: () => void }

const ended = (socket: Socket, quietMs: number, onQuiet = () => {}) =>
  socket.setTimeout(quietMs, () => {
    onQuiet()
    socket.destroy()
  })

/** Sends bytes, and returns the reply when the server closes or is silent for `quietMs`. */
export const sendRaw = (
  port: number,
  pieces: string | readonly string[],
  { quietMs = 500, gapMs = 0, onQuiet }: Sending = {},
): Promise<string> =>
  new Promise((resolve) => {
    let answer = ''
    const socket = connect(port, '127.0.0.1')
    const send = async () => {
      for (const piece of [pieces].flat()) {
        if (socket.destroyed) return
        socket.write(piece, 'latin1')
        if (gapMs > 0) await Bun.sleep(gapMs)
      }
      ended(socket, quietMs, onQuiet)
    }
    socket.on('connect', () => void send())
    socket.on('data', (data) => (answer += data.toString('latin1')))
    socket.on('error', () => {})
    socket.on('close', () => resolve(answer))
  })

/** The same for several requests, each sent after the response to the one before. */
export const sendInTurn = (
  port: number,
  requests: readonly { method: string; text: string }[],
  { quietMs = 20_000, onQuiet }: Sending = {},
): Promise<string> =>
  new Promise((resolve) => {
    let answer = ''
    let sent = 0
    const methods = requests.map(({ method }) => method)
    const socket = connect(port, '127.0.0.1')
    const next = () => {
      const answers = answersIn(answer, methods)
      if (Array.isArray(answers) && answers.length === sent)
        socket.write(requests[sent++]?.text ?? '', 'latin1')
    }
    ended(socket, quietMs, onQuiet)
    socket.on('connect', next)
    socket.on('data', (data) => {
      answer += data.toString('latin1')
      next()
    })
    socket.on('error', () => {})
    socket.on('close', () => resolve(answer))
  })

/** A connection that stays open until it is ended. */
export const held = (port: number): Promise<Socket> =>
  new Promise((resolve, reject) => {
    const socket = connect(port, '127.0.0.1', () => resolve(socket))
    socket.on('error', reject)
    socket.on('data', () => {})
  })

/** The reply of Bun's parser, which refuses before any code of the service: without our headers and body. */
export const isBare = ({ status, headers, text }: Answer) =>
  (status === 400 || status === 431 || status === 505) &&
  !headers.has('x-request-id') &&
  text === ''

/** Parses the reply into responses; otherwise the reason why it cannot be parsed. */
export const answersIn = (received: string, methods: readonly string[] = []): Answer[] | string => {
  const answers: Answer[] = []
  let rest = received
  while (rest !== '') {
    const end = rest.indexOf('\r\n\r\n')
    const [first = '', ...lines] = rest.slice(0, end).split('\r\n')
    const status = Number(/^HTTP\/1\.1 (\d{3}) /.exec(`${first} `)?.[1])
    if (end === -1 || Number.isNaN(status)) return `no head: ${rest.slice(0, 200)}`
    const headers = new Headers()
    for (const line of lines) {
      const [, name, value] = /^([!-9;-~]+):[ \t]*(.*)$/.exec(line) ?? []
      if (name === undefined || value === undefined) return `no header: ${line}`
      headers.append(name, value)
    }
    rest = rest.slice(end + 4)
    // 100 Continue.
    if (status === 100) continue
    const isHead = methods[answers.length] === 'HEAD' || status === 204 || status === 304
    const length = isHead ? 0 : Number(headers.get('content-length') ?? 0)
    if (rest.length < length) return `cut off: ${rest.slice(0, 100)}`
    if (headers.get('transfer-encoding') === 'chunked') return `chunked: ${rest.slice(0, 100)}`
    const text = Buffer.from(rest.slice(0, length), 'latin1').toString()
    rest = rest.slice(length)
    const isJson = /[/+]json/.test(headers.get('content-type') ?? '')
    answers.push({ status, headers, text, body: isJson && text ? JSON.parse(text) : undefined })
  }
  return answers
}
