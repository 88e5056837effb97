/** One end of a TCP connection. `write` takes all bytes, whereas Bun's returns how many it took. */
export type Wire = {
  write(bytes: Uint8Array): void
  /** FIN, when all is written. */
  end(): void
  /** RST, at once. */
  reset(): void
  readonly closed: boolean
}

export type Listeners = {
  data?: (bytes: Buffer, wire: Wire) => void
  closed?: (wire: Wire) => void
}

type Held = { wire: Wire & { drained(): void; gone(): void }; listeners: Listeners }
type Peer = Bun.Socket<Held | undefined>

/** Listens on loopback, on a free port by default. */
export const accept = (open: (wire: Wire) => Listeners, port = 0) => {
  const server = Bun.listen<Held | undefined>({
    hostname: '127.0.0.1',
    port,
    allowHalfOpen: true,
    socket: {
      ...events,
      open: (socket) => {
        const wire = wireOf(socket)
        socket.data = { wire, listeners: open(wire) }
      },
    },
  })
  return {
    port: server.port,
    stop: () => server.stop(true),
    /** Refuses new connections. Open ones continue. */
    refuse: () => server.stop(false),
  }
}

/** Rejects if the connection is refused. */
export const dial = async (port: number, listeners: Listeners = {}): Promise<Wire> => {
  const socket = await Bun.connect<Held | undefined>({
    hostname: '127.0.0.1',
    port,
    socket: {
      ...events,
      open: (socket) => {
        socket.data = { wire: wireOf(socket), listeners }
      },
    },
  })
  const { wire } = socket.data ?? { wire: wireOf(socket) }
  return wire
}

const close = (socket: Peer) => {
  const { data } = socket
  if (data === undefined || data.wire.closed) return
  data.wire.gone()
  data.listeners.closed?.(data.wire)
}

const events = {
  data: (socket: Peer, bytes: Buffer) => socket.data?.listeners.data?.(bytes, socket.data.wire),
  drain: (socket: Peer) => socket.data?.wire.drained(),
  end: (socket: Peer) => {
    close(socket)
    socket.end()
  },
  close,
  error: close,
}

const wireOf = (socket: Peer) => {
  let waiting: Uint8Array[] = []
  let closed = false
  let ending = false

  const flush = () => {
    while (!closed) {
      const [next] = waiting
      if (next === undefined) {
        if (ending) socket.end()
        return
      }
      const fitted = Math.max(0, socket.write(next))
      if (fitted < next.length) {
        waiting[0] = next.subarray(fitted)
        return
      }
      waiting.shift()
    }
  }

  return {
    get closed() {
      return closed
    },
    write: (bytes: Uint8Array) => {
      if (closed) return
      waiting.push(bytes)
      if (waiting.length === 1) flush()
    },
    end: () => {
      ending = true
      if (waiting.length === 0) socket.end()
    },
    reset: () => {
      closed = true
      waiting = []
      socket.terminate()
    },
    drained: flush,
    gone: () => {
      closed = true
      waiting = []
    },
  }
}
