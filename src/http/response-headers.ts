import type { RequestContext } from './request-context.ts'

export type ResponseHeaders = (
  request: Request,
  context: RequestContext,
  allow: string | undefined,
) => Record<string, string>

type Needs = {
  /** TRUST_PROXY is set: the proxy's `X-Forwarded-Proto` is trusted. */
  behindProxy: boolean
  /** CORS headers; `allow` lists the methods of the path. */
  cors: (request: Request, allow: string | undefined) => Record<string, string>
}

/**
 * The headers of every response (OWASP REST Security Cheat Sheet). If a browser renders a response as a page,
 * nothing in it runs and no other page can frame it.
 */
export const createResponseHeaders =
  ({ behindProxy, cors }: Needs): ResponseHeaders =>
  (request, context, allow) => ({
    'x-request-id': context.id,
    'x-content-type-options': 'nosniff',
    'content-security-policy': "default-src 'none'; frame-ancestors 'none'",
    'referrer-policy': 'no-referrer',
    'cache-control': /^\/api\/(tasks|lists|tags|calendar)/.test(context.route ?? '')
      ? 'private, no-cache'
      : 'no-store',
    // Only over TLS (RFC 6797 §7.2), which ends at the proxy.
    ...(behindProxy && request.headers.get('x-forwarded-proto') === 'https' && hsts),
    ...cors(request, allow),
  })

const hsts = { 'strict-transport-security': 'max-age=31536000' }
