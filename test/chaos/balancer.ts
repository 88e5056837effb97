import { bytesOf, type Channel, framer, Hung, header, openChannel, Refused } from './http.ts'
import { accept, type Wire } from './wire.ts'

/** Longer than the timeout of every test client. */
const answerWithinMs = 30_000
const probeEveryMs = 100
const probeWithinMs = 1000

type Target = { port: number; ready: boolean; idle: Set<Channel>; probe: Channel | undefined }

/** Marks a response of the balancer itself, and names the instance that went away. */
export const cutHeader = 'x-cut'

/**
 * The proxy of a platform: keep-alive on both sides, and round robin over the ready instances (over all if none is
 * ready). It tries another instance only if the first refused the connection, so that nothing was sent. A request whose
 * connection is lost later may have been executed, and gets 502.
 */
export const balance = () => {
  const targets = new Map<number, Target>()
  let turn = 0

  const probe = async (target: Target) => {
    try {
      if (target.probe === undefined || target.probe.closed)
        target.probe = await openChannel(target.port)
      const { head } = await target.probe.exchange(
        bytesOf({ method: 'GET', path: '/ready' }),
        probeWithinMs,
      )
      target.ready = head.startsWith('HTTP/1.1 200')
      if (closes(head)) target.probe.close()
    } catch {
      target.ready = false
    }
  }
  let probing = true
  const probes = (async () => {
    while (probing) {
      await Promise.all([...targets.values()].map(probe))
      await Bun.sleep(probeEveryMs)
    }
  })()

  /** The instances to try, in order. */
  const order = (): Target[] => {
    const all = [...targets.values()]
    const ready = all.filter((target) => target.ready)
    const among = ready.length > 0 ? ready : all
    const from = turn++ % Math.max(1, among.length)
    return [...among.slice(from), ...among.slice(0, from)]
  }

  const channelTo = async (target: Target): Promise<Channel> => {
    for (const channel of target.idle) {
      target.idle.delete(channel)
      if (!channel.closed) return channel
    }
    return openChannel(target.port)
  }

  const forward = async (request: Buffer): Promise<Buffer> => {
    for (const target of order()) {
      try {
        const channel = await channelTo(target)
        const { head, body } = await channel.exchange(request, answerWithinMs)
        if (closes(head)) channel.close()
        else target.idle.add(channel)
        const kept = head.replace(/\r\nconnection: [^\r]*/i, '')
        return Buffer.concat([Buffer.from(`${kept}\r\n\r\n`, 'latin1'), body])
      } catch (error) {
        if (error instanceof Refused) continue
        return own('502 Bad Gateway', error instanceof Hung ? 'hung' : String(target.port))
      }
    }
    return own('502 Bad Gateway', 'no instance')
  }

  const clients = new Set<Wire>()
  const server = accept((wire) => {
    clients.add(wire)
    const frames = framer()
    return {
      data: (bytes) => {
        for (const message of frames(bytes))
          void forward(message.bytes).then((answer) => wire.write(answer))
      },
      closed: () => clients.delete(wire),
    }
  })

  return {
    port: server.port,
    add: (port: number) =>
      void targets.set(port, { port, ready: false, idle: new Set(), probe: undefined }),
    remove: (port: number) => {
      const target = targets.get(port)
      targets.delete(port)
      target?.probe?.close()
      for (const channel of target?.idle ?? []) channel.close()
    },
    readyPorts: () => [...targets.values()].filter(({ ready }) => ready).map(({ port }) => port),
    stop: async () => {
      probing = false
      await probes
      server.stop()
      for (const { probe, idle } of targets.values()) {
        probe?.close()
        for (const channel of idle) channel.close()
      }
    },
  }
}

export type Balancer = ReturnType<typeof balance>

const closes = (head: string) => header(head, 'connection')?.toLowerCase() === 'close'

const own = (status: string, about: string) =>
  Buffer.from(`HTTP/1.1 ${status}\r\n${cutHeader}: ${about}\r\ncontent-length: 0\r\n\r\n`)
