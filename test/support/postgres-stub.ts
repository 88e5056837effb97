import { createServer, type Socket } from 'node:net'

const message = (type: string, ...parts: (string | number[])[]) => {
  const body = Buffer.concat(parts.map((part) => Buffer.from(part as string)))
  const head = Buffer.alloc(5)
  head.write(type)
  head.writeInt32BE(body.length + 4, 1)
  return Buffer.concat([head, body])
}
const int32 = (value: number) => [24, 16, 8, 0].map((shift) => (value >>> shift) & 0xff)

const ready = message('Z', 'I')
const greeting = Buffer.concat([
  message('R', int32(0)),
  message('K', int32(4711), int32(815)),
  ready,
])
/** No rows, for a statement without parameters. */
const responses: Record<string, Buffer> = {
  P: message('1'),
  D: Buffer.concat([message('t', [0, 0]), message('n')]),
  B: message('2'),
  E: message('C', 'SELECT 0\0'),
  S: ready,
  Q: Buffer.concat([message('C', 'SELECT 0\0'), ready]),
}
const cancelRequestCode = 80877102

/** The error after which postgres.js sends a prepared statement again. */
export const stalePlan = message('E', 'C0A000\0RRevalidateCachedQuery\0Mplan\0\0')

/**
 * A server that speaks as much of the PostgreSQL protocol as one statement without parameters needs. `executions` are
 * the responses to the next `Execute` messages in place of success; after `undefined` the connection is silent.
 */
export const postgresStub = async () => {
  const executions: (Buffer | undefined)[] = []
  const cancelRequests: { pid: number; secret: number }[] = []
  const sockets = new Set<Socket>()
  const received: string[] = []

  /** Returns undefined for no response any more. */
  const respond = (type: string): Buffer | undefined => {
    received.push(type)
    return type === 'E' && executions.length > 0
      ? executions.shift()
      : (responses[type] ?? Buffer.alloc(0))
  }

  const listener = createServer((socket) => {
    sockets.add(socket)
    let isStarted = false
    let isSilent = false
    let buffered = Buffer.alloc(0)
    socket.on('error', () => {})
    socket.on('data', (data) => {
      buffered = Buffer.concat([buffered, Buffer.from(data)])
      const lengthAt = () => (isStarted ? 1 : 0)
      while (buffered.length >= lengthAt() + 4) {
        const end = lengthAt() + buffered.readInt32BE(lengthAt())
        if (buffered.length < end) break
        const packet = buffered.subarray(0, end)
        buffered = buffered.subarray(end)
        if (isStarted) {
          const response = isSilent ? undefined : respond(String.fromCharCode(packet[0] ?? 0))
          if (response) socket.write(response)
          else isSilent = true
        } else if (packet.readInt32BE(4) === cancelRequestCode) {
          cancelRequests.push({ pid: packet.readInt32BE(8), secret: packet.readInt32BE(12) })
          socket.end()
        } else {
          isStarted = true
          socket.write(greeting)
        }
      }
    })
  })
  await new Promise<void>((listening) => listener.listen(0, '127.0.0.1', listening))
  const address = listener.address()

  return {
    port: typeof address === 'object' && address ? address.port : 0,
    executions,
    cancelRequests,
    /** The types of the messages, without the startup. */
    received,
    executed: () => received.filter((type) => type === 'E' || type === 'Q').length,
    [Symbol.dispose]: () => {
      for (const socket of sockets) socket.destroy()
      listener.close()
    },
  }
}
