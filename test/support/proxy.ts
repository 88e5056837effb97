import { connect, createServer, type Socket } from 'node:net'

type Way = {
  /** How long a new connection waits before it is passed on. */
  delayMs?: number
  /** New connections are taken and nothing is passed on. */
  silent?: boolean
  /** New connections are taken and closed. */
  closing?: boolean
}

/** A TCP proxy on loopback, whose manners a test changes while connections run through it. */
export const proxyTo = async (port: number) => {
  const way: Way = {}
  const open = new Set<Socket>()
  let calls = 0
  let delayed = 0
  let frozen = false

  const passLater = async (client: Socket, delayMs: number) => {
    delayed++
    await Bun.sleep(delayMs)
    delayed--
    pass(client)
  }
  const pass = (client: Socket) => {
    if (client.destroyed) return
    const server = connect(port, '127.0.0.1')
    for (const socket of [client, server]) open.add(socket)
    for (const [from, to] of [
      [client, server],
      [server, client],
    ] as const) {
      from.on('data', (data) => void (frozen || to.write(data)))
      from.on('error', () => to.destroy())
      from.on('close', () => {
        open.delete(from)
        to.destroy()
      })
    }
  }
  const listener = createServer((client) => {
    calls++
    client.on('error', () => {})
    if (way.closing) client.destroy()
    else if (way.silent) open.add(client)
    else if (way.delayMs) void passLater(client, way.delayMs)
    else pass(client)
  })
  const listen = (at: number) =>
    new Promise<void>((listening) => listener.listen(at, '127.0.0.1', listening))
  await listen(0)
  const address = listener.address()
  const own = typeof address === 'object' && address ? address.port : 0

  return {
    port: own,
    way,
    calls: () => calls,
    /** How many connections still wait to be passed on. */
    delayed: () => delayed,
    /** Half-open: what is sent from here on, either way, is lost. */
    freeze: () => {
      frozen = true
    },
    thaw: () => {
      frozen = false
    },
    /** New connections are refused, until it listens again. */
    refuse: () => void listener.close(),
    listen: () => listen(own),
    /** Every connection is reset. */
    cut: () => {
      for (const socket of open) socket.resetAndDestroy()
    },
    [Symbol.asyncDispose]: async () => {
      for (const socket of open) socket.destroy()
      listener.close()
    },
  }
}
