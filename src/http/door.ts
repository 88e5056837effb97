import { type DocumentDecoration, Elysia } from 'elysia'
import type { Identity } from '../auth/caller.ts'
import { challenge, outOfScope, Refusal, refuse } from '../errors.ts'
import { isPreflight } from './cors.ts'
import { bearerOf, type HeadersOf } from './headers.ts'
import { traceOf } from './trace.ts'
import type { Visits } from './visits.ts'

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
  visits: Visits
  /** Who a bearer token is of; nothing where it is not good. */
  identify: (token: string) => Promise<Identity | undefined>
  headersOf: HeadersOf
  addressOf: (request: Request) => string
  isUp: () => boolean
  /** Asked once, at the first request, when all routes are there. */
  routes: () => readonly Route[]
}

/** The answer to a plain OPTIONS is no refusal, but leaves the same way. */
export class Options extends Error {
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
export const door = (needs: Needs) => {
  const { settings, visits, identify, headersOf, addressOf, isUp, routes } = needs
  let doors: ReturnType<typeof doorsOf> | undefined

  return new Elysia({ name: 'door' }).onRequest(async ({ request, set }) => {
    doors ??= doorsOf(routes())
    const { method, headers } = request
    const authorization = headers.get('authorization')
    const place = doors.find(pathOf(request.url))
    const hooks = place?.methods.get(method === 'HEAD' ? 'GET' : method)
    const detail = hooks?.detail

    const visit = visits.begin(request, {
      id: requestId(headers.get('x-request-id')),
      startedAtMs: performance.now(),
      tookMs: undefined,
      address: addressOf(request),
      route: place?.pattern,
      open: detail?.security?.length === 0,
      budget:
        place?.isExempt || (place !== undefined && isPreflight(request))
          ? 'none'
          : (detail?.['x-budget'] ?? 'api'),
      accepts: detail?.['x-accepts'] ?? ['application/json'],
      takesQuery: hooks?.query !== undefined,
      bodyMax: detail?.['x-imports'] ? settings.importing.bytesMax : settings.bodyLimit,
      tokenSent: authorization !== null,
      caller: undefined,
      countedAs: undefined,
      fault: undefined,
      trace: traceOf(headers.get('traceparent')),
    })
    Object.assign(set.headers, headersOf(request, visit, place?.allow))

    const token = visit.open ? undefined : bearerOf(authorization)
    let trouble: unknown
    try {
      const identity = token && (await identify(token))
      if (identity) visit.caller = { ...identity, address: visit.address, requestId: visit.id }
    } catch (error) {
      // Whether there is such a route is answered all the same.
      trouble = error
    }

    if (place === undefined) return refuse('not-found')
    if (method === 'OPTIONS') throw new Options(place.allow)
    if (hooks === undefined)
      throw new Refusal('method-not-allowed', { headers: { allow: place.allow } })
    if (Number(headers.get('content-length') ?? 0) > visit.bodyMax) refuse('body-too-large')
    if (trouble !== undefined) throw trouble
    if (!visit.open && visit.caller === undefined)
      refuse('unauthenticated', { headers: challenge(visit.tokenSent) })
    if (!isInScope(place.pattern, method, visit.caller?.scope))
      refuse('insufficient-scope', { headers: outOfScope })
    if (!isUp() && visit.budget !== 'none')
      refuse('unavailable', { headers: { 'retry-after': '1' } })
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

type Place = { pattern: string; methods: Map<string, Hooks>; allow: string; isExempt: boolean }

/** The app's own route table, by path: literal segments win over parameters, whatever the method. */
const doorsOf = (routes: readonly Route[]) => {
  const places = new Map<string, Place>()
  for (const { method, path, hooks } of routes) {
    const place = places.get(path) ?? {
      pattern: path,
      methods: new Map(),
      allow: '',
      isExempt: false,
    }
    place.methods.set(method, hooks ?? {})
    places.set(path, place)
  }

  const patterns: { segments: string[]; place: Place }[] = []
  for (const place of places.values()) {
    const methods = [...place.methods.keys()]
    // Its 405s and OPTIONS too: probes are not counted, whatever they send.
    place.isExempt = [...place.methods.values()].every(
      ({ detail }) => detail?.['x-budget'] === 'none',
    )
    place.allow = [...methods, ...(place.methods.has('GET') ? ['HEAD'] : []), 'OPTIONS'].join(', ')
    if (place.pattern.includes(':')) patterns.push({ segments: place.pattern.split('/'), place })
  }
  patterns.sort((a, b) => a.place.pattern.split(':').length - b.place.pattern.split(':').length)

  const fits = (segments: string[], path: string[]) =>
    segments.length === path.length &&
    segments.every((segment, at) =>
      segment.startsWith(':') ? path[at] !== '' : segment === path[at],
    )

  return {
    find: (path: string): Place | undefined => {
      const literal = places.get(path)
      if (literal !== undefined) return literal
      const given = path.split('/')
      return patterns.find(({ segments }) => fits(segments, given))?.place
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
