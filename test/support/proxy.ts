import { connect, createServer, type Socket } from 'node:net'

type Behaviour = {
  /** The delay before a new connection is forwarded. */
  delayMs?: number
  /** New connections are accepted and never forwarded. */
  silent?: boolean
  /** New connections are accepted and closed. */
  closing?: boolean
}

/** A TCP proxy on loopback. A test changes its behaviour while connections are open. */
export const proxyTo = async (port: number) => {
  const behaviour: Behaviour = {}
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
    if (behaviour.closing) client.destroy()
    else if (behaviour.silent) open.add(client)
    else if (behaviour.delayMs) void passLater(client, behaviour.delayMs)
    else pass(client)
  })
  const listen = (at: number) =>
    new Promise<void>((listening) => listener.listen(at, '127.0.0.1', listening))
  await listen(0)
  const address = listener.address()
  const own = typeof address === 'object' && address ? address.port : 0

  return {
    port: own,
    behaviour,
    calls: () => calls,
    /** The number of connections that are not forwarded yet. */
    delayed: () => delayed,
    /** From here on, data in both directions is dropped, and connections stay open. */
    freeze: () => {
      frozen = true
    },
    thaw: () => {
      frozen = false
    },
    /** Refuses new connections until `listen` is called. */
    refuse: () => void listener.close(),
    listen: () => listen(own),
    /** Resets all connections. */
    cut: () => {
      for (const socket of open) socket.resetAndDestroy()
    },
    [Symbol.asyncDispose]: async () => {
      for (const socket of open) socket.destroy()
      listener.close()
    },
  }
}
