import type { RequestContext } from './request-context.ts'

export type ResponseHeaders = (
  request: Request,
  requestContext: RequestContext,
  allow: string | undefined,
) => Record<string, string>

type Needs = {
  /** Whether a proxy of ours stands in front, whose word on the client's scheme can be believed. */
  behindProxy: boolean
  /** The headers of CORS; `allow` is the methods of the path. */
  cors: (request: Request, allow: string | undefined) => Record<string, string>
}

/**
 * The headers of every answer (OWASP REST Security Cheat Sheet). An answer is data: if a
 * browser takes one for a page, nothing in it may run, and nobody may frame it.
 */
export const createResponseHeaders =
  ({ behindProxy, cors }: Needs): ResponseHeaders =>
  (request, requestContext, allow) => ({
    'x-request-id': requestContext.id,
    'x-content-type-options': 'nosniff',
    'content-security-policy': "default-src 'none'; frame-ancestors 'none'",
    'referrer-policy': 'no-referrer',
    'cache-control': requestContext.route?.startsWith('/api/tasks')
      ? 'private, no-cache'
      : 'no-store',
    // Only over TLS (RFC 6797 §7.2), which ends at the proxy.
    ...(behindProxy && request.headers.get('x-forwarded-proto') === 'https' && secured),
    ...cors(request, allow),
  })

const secured = { 'strict-transport-security': 'max-age=31536000' }

/** The token of a `Bearer` credential, the scheme in any case (RFC 6750 §2.1); of two joined headers, none. */
export const parseBearer = (authorization: string | null): string | undefined =>
  /^Bearer +([^\s,]+)$/i.exec(authorization ?? '')?.[1]
