/** The prefix makes browsers refuse the cookie from another host, from a subdomain, and without TLS (RFC 6265bis §4.1.3). */
const secureName = '__Host-taskwarden-refresh'
/** For development: browsers refuse secure cookies from `http://localhost`. */
const loopbackName = 'taskwarden-refresh'

type Settings = {
  /** Origins whose pages may use the cookie, in addition to the service's own. */
  corsOrigins: readonly string[]
  /** The proxy's `X-Forwarded-Proto` is trusted. */
  behindProxy: boolean
}

type Exchange = { request: Request; set: { headers: Record<string, string | number> } }

/**
 * The refresh token of a browser app, in a cookie that scripts cannot read.
 *
 * A browser also sends cookies with requests that another site causes. So only a request whose origin the browser itself
 * states (`Sec-Fetch-Site` or `Origin`, which scripts cannot set) may use it.
 */
export const createRefreshCookie = ({ corsOrigins, behindProxy }: Settings) => {
  /** TLS ends at the proxy. */
  const isTls = ({ headers }: Request) =>
    behindProxy && headers.get('x-forwarded-proto') === 'https'

  const isLoopback = (request: Request): boolean => {
    const url = URL.parse(request.url)
    return url !== null && !isTls(request) && loopbackHost.test(url.hostname)
  }

  /** A page of the same host. Without TLS here, a proxy that is not trusted may have removed it. */
  const isOwnOrigin = (request: Request, origin: string): boolean => {
    const url = URL.parse(request.url)
    if (url === null) return false
    return origin === `https://${url.host}` || (origin === `http://${url.host}` && !isTls(request))
  }

  const nameFor = (request: Request) => (isLoopback(request) ? loopbackName : secureName)

  const serialize = (request: Request, value: string, maxAge: number): string =>
    new Bun.Cookie(nameFor(request), value, {
      maxAge,
      path: '/',
      httpOnly: true,
      sameSite: 'strict',
      secure: !isLoopback(request),
    }).toString()

  const read = (request: Request): string | undefined =>
    new Bun.CookieMap(request.headers.get('cookie') ?? '').get(nameFor(request)) ?? undefined

  return {
    /** The token that the request contains; undefined without the cookie. */
    read,

    isFromAllowedOrigin: (request: Request): boolean => {
      if (request.headers.get('sec-fetch-site') === 'same-origin') return true
      const origin = request.headers.get('origin') ?? ''
      return corsOrigins.includes(origin) || isOwnOrigin(request, origin)
    },

    /** Moves the refresh token of a response into the cookie. */
    deliver: <Tokens extends { refresh_token: string; refresh_expires_in: number }>(
      { refresh_token, ...body }: Tokens,
      { request, set }: Exchange,
    ) => {
      set.headers['set-cookie'] = serialize(request, refresh_token, body.refresh_expires_in)
      return body
    },

    /** Deletes the cookie of a request that has it. */
    clear: ({ request, set }: Exchange): void => {
      if (read(request) !== undefined) set.headers['set-cookie'] = serialize(request, '', 0)
    },
  }
}

export type RefreshCookie = ReturnType<typeof createRefreshCookie>

const loopbackHost = /^(localhost|.+\.localhost|127(\.\d+){3}|\[::1\])$/
