import { Elysia } from 'elysia'
import { bearerChallenge, insufficientScopeChallenge, parseBearer } from './bearer.ts'
import { isPreflight } from './cors.ts'
import type { VerifiedToken } from './principal.ts'
import { ProblemError, throwProblem } from './problem.ts'
import type { RequestContext, RequestContexts } from './request-context.ts'
import type { ResponseHeaders } from './response-headers.ts'
import { createRouteTable, type Route, type RouteEntry } from './route-table.ts'
import { parseTraceparent } from './trace-context.ts'

type Settings = { bodyLimit: number; importing: { bytesMax: number } }
type Needs = {
  settings: Settings
  contexts: RequestContexts
  /** Verifies a bearer token; undefined if it is not valid. */
  authenticate: (token: string) => Promise<VerifiedToken | undefined>
  /** Verifies a stream ticket; undefined if it is not valid. */
  verifyTicket: (ticket: string) => VerifiedToken | undefined
  /** Verifies a path with the secret of a calendar feed; undefined if it is not valid. */
  verifyCalendarPath: (path: string) => VerifiedToken | undefined
  responseHeaders: ResponseHeaders
  clientAddressOf: (request: Request) => string
  /** The migrations are applied. */
  isUp: () => boolean
  /** Called once, at the first request, when all routes are registered. */
  routes: () => readonly Route[]
}

/** Ends an OPTIONS request in the error handler, with 204. */
export class OptionsResponse extends Error {
  readonly allow: string
  constructor(allow: string) {
    super('options')
    this.allow = allow
  }
}

/**
 * The first step of every request. It finds the route (404, 405, OPTIONS), checks the declared length of the
 * body (413), verifies the token (401) and its scope (403), in this order.
 *
 * Elysia routes, parses and validates before its own guards run. Here an unauthenticated request is refused
 * before its body is read.
 */
export const createRouteGuard = (needs: Needs) => {
  const { contexts, responseHeaders, isUp, routes } = needs
  let routeTable: ReturnType<typeof createRouteTable> | undefined

  return new Elysia({ name: 'route-guard' }).onRequest(async ({ request, set }) => {
    routeTable ??= createRouteTable(routes())
    const { method, headers } = request
    const entry = routeTable.find(pathOf(request.url))
    const hooks = hooksOf(entry, method)
    const tokenSent = headers.has('authorization')
    const context = contexts.begin(
      request,
      createContext(needs, request, { entry, hooks, tokenSent }),
    )
    Object.assign(set.headers, responseHeaders(request, context, entry?.allow))

    let authenticationError: unknown
    try {
      const verified = await verify(needs, request, context)
      if (verified)
        context.principal = { ...verified, address: context.address, requestId: context.id }
    } catch (error) {
      // 404, 405 and 413 do not depend on the token.
      authenticationError = error
    }

    if (entry === undefined) return throwProblem('not-found')
    if (method === 'OPTIONS') throw new OptionsResponse(entry.allow)
    if (hooks === undefined)
      throw new ProblemError('method-not-allowed', { headers: { allow: entry.allow } })
    if (Number(headers.get('content-length') ?? 0) > context.bodyBytesMax)
      throwProblem('body-too-large')
    if (authenticationError !== undefined) throw authenticationError
    if (
      !context.isPublic &&
      context.principal === undefined &&
      !mayHaveRefreshToken(context, request)
    )
      throwProblem('unauthenticated', { headers: bearerChallenge(context.tokenSent) })
    if (context.hasCalendarSecret && context.principal === undefined)
      throwProblem('calendar-not-found')
    if (!isInScope(entry.pattern, method, context.principal?.scope))
      throwProblem('insufficient-scope', { headers: insufficientScopeChallenge })
    if (!isUp() && context.rateLimitPolicy !== 'none')
      throwProblem('unavailable', { headers: { 'retry-after': '1' } })
  })
}

/** The token of a request, or what stands for it. */
const verify = async (
  { authenticate, verifyTicket, verifyCalendarPath }: Needs,
  { headers, url }: Request,
  context: RequestContext,
): Promise<VerifiedToken | undefined> => {
  if (context.hasCalendarSecret) return verifyCalendarPath(pathOf(url))
  const token = context.isPublic ? undefined : parseBearer(headers.get('authorization'))
  if (token) return authenticate(token)
  return context.acceptsTicket && !context.tokenSent ? verifyTicket(ticketOf(url)) : undefined
}

const hooksOf = (entry: RouteEntry | undefined, method: string) =>
  entry?.methods.get(method === 'HEAD' ? 'GET' : method)

type Found = {
  entry: RouteEntry | undefined
  hooks: ReturnType<typeof hooksOf>
  tokenSent: boolean
}

const createContext = (
  { settings, clientAddressOf }: Needs,
  request: Request,
  { entry, hooks, tokenSent }: Found,
): RequestContext => {
  const { headers } = request
  const detail = hooks?.detail
  const isUncounted = entry?.isUncounted || (entry !== undefined && isPreflight(request))
  return {
    id: requestIdFrom(headers.get('x-request-id')),
    startedAtMs: performance.now(),
    durationMs: undefined,
    address: clientAddressOf(request),
    route: entry?.pattern,
    isPublic: detail?.security?.length === 0,
    acceptsTicket: detail?.['x-stream-ticket'] ?? false,
    hasCalendarSecret: detail?.['x-calendar-secret'] ?? false,
    refreshTokenIn: detail?.['x-refresh-token'] ?? [],
    rateLimitPolicy: isUncounted ? 'none' : (detail?.['x-rate-limit'] ?? 'api'),
    accepts: detail?.['x-accepts'] ?? ['application/json'],
    hasQuerySchema: hooks?.query !== undefined,
    bodyBytesMax: detail?.['x-imports'] ? settings.importing.bytesMax : settings.bodyLimit,
    tokenSent,
    principal: undefined,
    rateLimitKey: undefined,
    changedUserId: undefined,
    databaseErrorCode: undefined,
    trace: parseTraceparent(headers.get('traceparent')),
  }
}

/** Whether the route has to look for a refresh token. */
const mayHaveRefreshToken = ({ refreshTokenIn }: RequestContext, request: Request): boolean =>
  (refreshTokenIn.includes('cookie') && request.headers.has('cookie')) ||
  (refreshTokenIn.includes('body') && request.body !== null)

/**
 * A token with a scope may use the routes of tasks and webhooks within its scope, and read `/api/auth/me`. Every route that is
 * not named here is refused.
 */
const isInScope = (pattern: string, method: string, scope: string | undefined): boolean => {
  if (scope === undefined) return true
  const isRead = method === 'GET' || method === 'HEAD'
  if (/^\/api\/(tasks|lists|tags)(\/|$)/.test(pattern))
    return scope.split(' ').includes(isRead ? 'tasks:read' : 'tasks:write')
  if (/^\/api\/webhooks(\/|$)/.test(pattern)) return scope.split(' ').includes('webhooks:write')
  if (pattern.startsWith('/api/calendar/')) return scope === 'calendar:read'
  if (scope === 'calendar:read') return false
  return isRead && pattern === '/api/auth/me'
}

/** The path as sent. Elysia does not decode it before it matches either, and treats `#` as part of it. */
const pathOf = (url: string): string => {
  const start = url.indexOf('/', url.indexOf('://') + 3)
  const end = url.indexOf('?')
  return start === -1 ? '/' : url.slice(start, end === -1 ? undefined : end)
}

const ticketOf = (url: string): string => /[?&]ticket=([\w-]+)/.exec(url)?.[1] ?? ''

const requestIdFrom = (sent: string | null): string =>
  sent !== null && /^[A-Za-z0-9._-]{1,128}$/.test(sent) ? sent : Bun.randomUUIDv7()
