import type { Log } from '../log.ts'

type Settings = {
  host: string
  port: number
  drainMs: number
  /** Other processes listen on the same port; the kernel distributes the connections. */
  sharesPort?: boolean
}
type Fetch = (request: Request) => Response | Promise<Response>

/** The service cannot listen on the address or the port; the message says what to do. */
class ListenError extends Error {
  override readonly name = 'ListenError'

  constructor(error: unknown, port: number) {
    const code = error instanceof Error && 'code' in error ? String(error.code) : 'failed'
    const reasons: Record<string, string> = {
      EADDRINUSE: `port ${port} is in use by another process; set PORT to a free one`,
      EACCES: `this user may not listen on port ${port}; set PORT to 1024 or more`,
    }
    super(reasons[code] ?? `HOST is not an address of this machine (${code}); unset it`)
  }
}

/** How long a connection may be idle, also in the middle of a request. */
export const idleSeconds = 30

/**
 * The HTTP server: sockets, peer addresses and shutdown. It knows nothing about the service.
 *
 * `stop` drains. For `drainMs`, `/ready` is 503 and every response has `Connection: close`, so that load balancers
 * stop sending requests. Then streams end, the listener closes, and requests in flight finish.
 */
export const createServer = (
  { host, port, drainMs, sharesPort = false }: Settings,
  fetch: Fetch,
  log: Log,
) => {
  const stopping = new AbortController()
  let peerOf = (_: Request): string | undefined => undefined
  let extendIdleTimeout = (_request: Request, _seconds: number): void => {}
  let draining = false
  let inFlight = () => 0

  const respond = async (request: Request): Promise<Response> => {
    const response = await fetch(withAbsoluteUrl(request))
    if (draining) response.headers.set('connection', 'close')
    return response
  }

  return {
    isDraining: () => draining,
    /** Aborts at the end of the drain: responses that wait or stream have to end. */
    stopSignal: stopping.signal,
    /** The connection of a request may be idle for longer than `idleSeconds`. */
    extendIdleTimeout: (request: Request, seconds: number) => extendIdleTimeout(request, seconds),
    /** Requests whose response is not sent completely. */
    inFlight: () => inFlight(),
    peerOf: (request: Request) => peerOf(request),
    start: () => {
      const server = startServer({
        hostname: host,
        port,
        reusePort: sharesPort,
        idleTimeout: idleSeconds,
        // Route guard and body parser enforce the limits with a problem; Bun's own 413 has no body.
        maxRequestBodySize: Number.MAX_SAFE_INTEGER,
        fetch: respond,
      })
      inFlight = () => server.pendingRequests
      const receivedAs = (request: Request) => received.get(request) ?? request
      peerOf = (request) => server.requestIP(receivedAs(request))?.address
      extendIdleTimeout = (request, seconds) => server.timeout(receivedAs(request), seconds)
      return {
        url: server.url,
        stop: async () => {
          draining = true
          log.info('draining', { ms: drainMs })
          await Bun.sleep(drainMs)
          stopping.abort()
          await server.stop()
        },
      }
    },
  }
}

/** The port that processes can share: a free one for 0. `ListenError` if another program listens on it. */
export const findSharedPort = async ({ host, port }: Pick<Settings, 'host' | 'port'>) => {
  const server = startServer({ hostname: host, port, fetch: () => new Response() })
  const found = Number(server.port)
  await server.stop(true)
  return found
}

const startServer = (options: Parameters<typeof Bun.serve<undefined>>[0]) => {
  try {
    return Bun.serve(options)
  } catch (error) {
    throw new ListenError(error, Number(options.port))
  }
}

/** The original request, for which Bun knows the peer. */
const received = new WeakMap<Request, Request>()

/** Without a usable Host, as in HTTP/1.0 probes, the URL that Bun gives is a path. */
const withAbsoluteUrl = (request: Request): Request => {
  if (!request.url.startsWith('/')) return request
  const made = new Request(`http://localhost${request.url}`, request)
  received.set(made, request)
  return made
}
