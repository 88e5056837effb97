/**
 * CORS headers (https://fetch.spec.whatwg.org/#http-cors-protocol) for the listed origins only.
 *
 * `@elysiajs/cors` sends half of its headers to every origin, and answers every OPTIONS request before the route
 * guard, for unknown paths too. Credentials are allowed for the refresh cookie (`auth/refresh-tokens/cookie.ts`).
 */
export const createCors = (origins: readonly string[]) => {
  const varies = origins.length > 0 ? { vary: 'Origin' } : {}

  return (request: Request, allow: string | undefined): Record<string, string> => {
    const origin = request.headers.get('origin') ?? ''
    if (!origins.includes(origin)) return varies

    const named = {
      ...varies,
      'access-control-allow-origin': origin,
      'access-control-allow-credentials': 'true',
    }
    if (!isPreflight(request)) return { ...named, 'access-control-expose-headers': exposed }
    return {
      ...named,
      ...(allow !== undefined && { 'access-control-allow-methods': allow }),
      'access-control-allow-headers': allowed,
      'access-control-max-age': String(maxAgeSeconds),
    }
  }
}

/** Whether the request is a preflight: a browser asks before a request that is not simple. */
export const isPreflight = ({ method, headers }: Request): boolean =>
  method === 'OPTIONS' && headers.has('origin') && headers.has('access-control-request-method')

/** Browsers cap it at two hours (Chromium) and a day (Firefox). */
const maxAgeSeconds = 7200

const allowed = [
  'Authorization',
  'Content-Type',
  'Idempotency-Key',
  'If-Match',
  'If-None-Match',
  'Last-Event-ID',
  'X-Request-Id',
  'traceparent',
].join(', ')

const exposed = [
  'Content-Disposition',
  'ETag',
  'Idempotency-Replayed',
  'Link',
  'Location',
  'RateLimit',
  'RateLimit-Limit',
  'RateLimit-Policy',
  'RateLimit-Remaining',
  'RateLimit-Reset',
  'Retry-After',
  'WWW-Authenticate',
  'X-Request-Id',
].join(', ')
