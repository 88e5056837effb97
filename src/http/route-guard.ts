import { type DocumentDecoration, Elysia } from 'elysia'
import { isPreflight } from './cors.ts'
import type { VerifiedToken } from './principal.ts'
import {
  bearerChallenge,
  insufficientScopeChallenge,
  ProblemError,
  throwProblem,
} from './problem.ts'
import type { RequestContexts } from './request-context.ts'
import { parseBearer, type ResponseHeaders } from './security-headers.ts'
import { parseTraceparent } from './trace-context.ts'

declare module 'elysia' {
  /** What a route says of itself in its `detail`. `security: []` lets strangers in; nothing else does. */
  interface DocumentDecoration {
    /** Which budget a request spends: the API's (where it says nothing), the one for ending sessions, or none. */
    'x-budget'?: 'api' | 'endings' | 'none'
    /** Media types of the body; JSON where it says nothing. */
    'x-accepts'?: readonly string[]
    /** Whether the body may be as long as an import (IMPORT_LIMIT), where all others are shorter (BODY_LIMIT). */
    'x-imports'?: boolean
  }
}

type Hooks = { detail?: DocumentDecoration; query?: unknown }
type Route = { method: string; path: string; hooks?: Hooks }
type Settings = { bodyLimit: number; importing: { bytesMax: number } }
type Needs = {
  settings: Settings
  contexts: RequestContexts
  /** Who a bearer token is of; nothing where it is not good. */
  authenticate: (token: string) => Promise<VerifiedToken | undefined>
  createResponseHeaders: ResponseHeaders
  clientAddressOf: (request: Request) => string
  isUp: () => boolean
  /** Asked once, at the first request, when all routes are there. */
  routes: () => readonly Route[]
}

/** The answer to a plain OPTIONS is no refusal, but leaves the same way. */
export class OptionsResponse extends Error {
  readonly allow: string
  constructor(allow: string) {
    super('options')
    this.allow = allow
  }
}

/**
 * The first thing a request meets, ahead of routing, body and validation: is there
 * such a route (404, 405), is the body of a size to be read (413), is the caller
 * somebody (401).
 *
 * Elysia routes and parses before any guard of its own can speak; here a stranger
 * is sent away without a byte of the body read, and `trash` is never taken for an id.
 */
export const createRouteGuard = (needs: Needs) => {
  const { settings, contexts, authenticate, createResponseHeaders, clientAddressOf, isUp, routes } =
    needs
  let routeTable: ReturnType<typeof createRouteTable> | undefined

  return new Elysia({ name: 'door' }).onRequest(async ({ request, set }) => {
    routeTable ??= createRouteTable(routes())
    const { method, headers } = request
    const authorization = headers.get('authorization')
    const entry = routeTable.find(pathOf(request.url))
    const hooks = entry?.methods.get(method === 'HEAD' ? 'GET' : method)
    const detail = hooks?.detail

    const requestContext = contexts.begin(request, {
      id: requestId(headers.get('x-request-id')),
      startedAtMs: performance.now(),
      durationMs: undefined,
      address: clientAddressOf(request),
      route: entry?.pattern,
      open: detail?.security?.length === 0,
      budget:
        entry?.isUncounted || (entry !== undefined && isPreflight(request))
          ? 'none'
          : (detail?.['x-budget'] ?? 'api'),
      accepts: detail?.['x-accepts'] ?? ['application/json'],
      takesQuery: hooks?.query !== undefined,
      bodyMax: detail?.['x-imports'] ? settings.importing.bytesMax : settings.bodyLimit,
      tokenSent: authorization !== null,
      principal: undefined,
      rateLimitKey: undefined,
      databaseErrorCode: undefined,
      trace: parseTraceparent(headers.get('traceparent')),
    })
    Object.assign(set.headers, createResponseHeaders(request, requestContext, entry?.allow))

    const token = requestContext.open ? undefined : parseBearer(authorization)
    let authenticationError: unknown
    try {
      const verifiedToken = token && (await authenticate(token))
      if (verifiedToken)
        requestContext.principal = {
          ...verifiedToken,
          address: requestContext.address,
          requestId: requestContext.id,
        }
    } catch (error) {
      // Whether there is such a route is answered all the same.
      authenticationError = error
    }

    if (entry === undefined) return throwProblem('not-found')
    if (method === 'OPTIONS') throw new OptionsResponse(entry.allow)
    if (hooks === undefined)
      throw new ProblemError('method-not-allowed', { headers: { allow: entry.allow } })
    if (Number(headers.get('content-length') ?? 0) > requestContext.bodyMax)
      throwProblem('body-too-large')
    if (authenticationError !== undefined) throw authenticationError
    if (!requestContext.open && requestContext.principal === undefined)
      throwProblem('unauthenticated', { headers: bearerChallenge(requestContext.tokenSent) })
    if (!isInScope(entry.pattern, method, requestContext.principal?.scope))
      throwProblem('insufficient-scope', { headers: insufficientScopeChallenge })
    if (!isUp() && requestContext.budget !== 'none')
      throwProblem('unavailable', { headers: { 'retry-after': '1' } })
  })
}

/**
 * A personal access token is for tasks, and for asking whose it is; the account is not its to
 * manage. A route that is not named here is out of its reach.
 */
const isInScope = (pattern: string, method: string, scope: string | undefined): boolean => {
  if (scope === undefined) return true
  const reads = method === 'GET' || method === 'HEAD'
  if (/^\/api\/tasks(\/|$)/.test(pattern))
    return scope.split(' ').includes(reads ? 'tasks:read' : 'tasks:write')
  return reads && pattern === '/api/auth/me'
}

type RouteEntry = {
  pattern: string
  methods: Map<string, Hooks>
  allow: string
  isUncounted: boolean
}

/** The app's own route table, by path: literal segments win over parameters, whatever the method. */
const createRouteTable = (routes: readonly Route[]) => {
  const entries = new Map<string, RouteEntry>()
  for (const { method, path, hooks } of routes) {
    const entry = entries.get(path) ?? {
      pattern: path,
      methods: new Map(),
      allow: '',
      isUncounted: false,
    }
    entry.methods.set(method, hooks ?? {})
    entries.set(path, entry)
  }

  const patterns: { segments: string[]; entry: RouteEntry }[] = []
  for (const entry of entries.values()) {
    const methods = [...entry.methods.keys()]
    // Its 405s and OPTIONS too: probes are not counted, whatever they send.
    entry.isUncounted = [...entry.methods.values()].every(
      ({ detail }) => detail?.['x-budget'] === 'none',
    )
    entry.allow = [...methods, ...(entry.methods.has('GET') ? ['HEAD'] : []), 'OPTIONS'].join(', ')
    if (entry.pattern.includes(':')) patterns.push({ segments: entry.pattern.split('/'), entry })
  }
  patterns.sort((a, b) => a.entry.pattern.split(':').length - b.entry.pattern.split(':').length)

  const matchesPattern = (segments: string[], path: string[]) =>
    segments.length === path.length &&
    segments.every((segment, at) =>
      segment.startsWith(':') ? path[at] !== '' : segment === path[at],
    )

  return {
    find: (path: string): RouteEntry | undefined => {
      const literal = entries.get(path)
      if (literal !== undefined) return literal
      const given = path.split('/')
      return patterns.find(({ segments }) => matchesPattern(segments, given))?.entry
    },
  }
}

/** The path as it was sent: Elysia matches it undecoded too, and takes a `#` for a part of it. */
const pathOf = (url: string): string => {
  const start = url.indexOf('/', url.indexOf('://') + 3)
  const end = url.indexOf('?')
  return start === -1 ? '/' : url.slice(start, end === -1 ? undefined : end)
}

const requestId = (sent: string | null): string =>
  sent !== null && /^[A-Za-z0-9._-]{1,128}$/.test(sent) ? sent : Bun.randomUUIDv7()
