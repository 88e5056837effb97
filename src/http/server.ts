import type { Log } from './access-log.ts'

type Settings = { host: string; port: number; drainMs: number }
type Fetch = (request: Request) => Response | Promise<Response>

/** The address or the port cannot be had; the message says what to do. */
class ListenError extends Error {
  override readonly name = 'CannotListen'

  constructor(error: unknown) {
    const code = error instanceof Error && 'code' in error ? String(error.code) : 'failed'
    super(reasons[code] ?? `HOST is no address of this machine (${code}); unset it for all of them`)
  }
}

const reasons: Record<string, string> = {
  EADDRINUSE: 'the port is in use by another process; set PORT to a free one',
  EACCES: 'this user may not listen on that port; set PORT to 1024 or more',
}

/** How long a connection may be silent, in the middle of a request too. */
export const idleSeconds = 30

/**
 * The listening server, apart from the service: sockets, peers, and how it stops.
 *
 * `stop` drains: for `drainMs` the service is not ready and asks clients to close their
 * connections, so that a load balancer sees it before anything is refused; then the
 * listener closes, and what is in flight ends.
 */
export const createServer = ({ host, port, drainMs }: Settings, fetch: Fetch, log: Log) => {
  let peerOf = (_: Request): string | undefined => undefined
  let draining = false
  let inFlight = () => 0

  const answer = async (request: Request): Promise<Response> => {
    const response = await fetch(withAbsoluteUrl(request))
    if (draining) response.headers.set('connection', 'close')
    return response
  }

  return {
    isDraining: () => draining,
    /** Requests whose answer is not sent whole yet. */
    inFlight: () => inFlight(),
    peerOf: (request: Request) => peerOf(request),
    start: () => {
      const server = startServer({
        hostname: host,
        port,
        idleTimeout: idleSeconds,
        // The door and the intake refuse by their own limits, in problems: Bun's is a bare 413.
        maxRequestBodySize: Number.MAX_SAFE_INTEGER,
        fetch: answer,
      })
      inFlight = () => server.pendingRequests
      peerOf = (request) => server.requestIP(received.get(request) ?? request)?.address
      return {
        url: server.url,
        stop: async () => {
          draining = true
          log.info('draining', { ms: drainMs })
          await Bun.sleep(drainMs)
          await server.stop()
        },
      }
    },
  }
}

const startServer = (options: Parameters<typeof Bun.serve<undefined>>[0]) => {
  try {
    return Bun.serve(options)
  } catch (error) {
    throw new ListenError(error)
  }
}

/** What a request was before it was made whole, which the server knows the peer of. */
const received = new WeakMap<Request, Request>()

/** Without a usable Host (probes that speak HTTP/1.0 send none) Bun gives a path for a URL. */
const withAbsoluteUrl = (request: Request): Request => {
  if (!request.url.startsWith('/')) return request
  const made = new Request(`http://localhost${request.url}`, request)
  received.set(made, request)
  return made
}
