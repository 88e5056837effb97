import type { DocumentDecoration } from 'elysia'
import type { RateLimitPolicy, RefreshTokenPlace } from './request-context.ts'

declare module 'elysia' {
  /** What a route declares in its `detail`. Only `security: []` makes a route public. */
  interface DocumentDecoration {
    /** Which limit counts the request; `api` if absent. */
    'x-rate-limit'?: RateLimitPolicy
    /** Media types of the body; JSON if absent. */
    'x-accepts'?: readonly string[]
    /** Where the request may have a refresh token instead of an access token. */
    'x-refresh-token'?: readonly RefreshTokenPlace[]
    /** The request may have a stream ticket in its query instead of an access token. */
    'x-stream-ticket'?: boolean
    /** The path has the secret of a calendar feed instead. */
    'x-calendar-secret'?: boolean
    /** The body may have IMPORT_LIMIT bytes instead of BODY_LIMIT. */
    'x-imports'?: boolean
  }
}

type Hooks = { detail?: DocumentDecoration; query?: unknown }
export type Route = { method: string; path: string; hooks?: Hooks }

export type RouteEntry = {
  pattern: string
  methods: Map<string, Hooks>
  /** The `Allow` header of a 405 and of OPTIONS. */
  allow: string
  /** No method of this path is counted, 405 and OPTIONS included: probes may send anything. */
  isUncounted: boolean
}

/**
 * The app's own routes by path. Literal segments have precedence over parameters, whatever the method:
 * `trash` is never an id, and another method there is 405.
 */
export const createRouteTable = (routes: readonly Route[]) => {
  const entries = new Map<string, RouteEntry>()
  for (const [pattern, samePath] of Map.groupBy(routes, ({ path }) => path))
    entries.set(pattern, toEntry(pattern, samePath))

  const patterns = [...entries.values()]
    .filter(({ pattern }) => pattern.includes(':'))
    .map((entry) => ({ segments: entry.pattern.split('/'), entry }))
    .sort((a, b) => parameterCount(a.entry) - parameterCount(b.entry))

  return {
    find: (path: string): RouteEntry | undefined => {
      const literal = entries.get(path)
      if (literal !== undefined) return literal
      const segments = path.split('/')
      return patterns.find((pattern) => matchesPattern(pattern.segments, segments))?.entry
    },
  }
}

const toEntry = (pattern: string, routes: readonly Route[]): RouteEntry => {
  const methods = new Map(routes.map(({ method, hooks = {} }) => [method, hooks]))
  const head = methods.has('GET') ? ['HEAD'] : []
  return {
    pattern,
    methods,
    allow: [...methods.keys(), ...head, 'OPTIONS'].join(', '),
    isUncounted: [...methods.values()].every(({ detail }) => detail?.['x-rate-limit'] === 'none'),
  }
}

const parameterCount = ({ pattern }: RouteEntry) => pattern.split(':').length

const matchesPattern = (pattern: string[], path: string[]) =>
  pattern.length === path.length &&
  pattern.every((segment, at) => (segment.startsWith(':') ? path[at] !== '' : segment === path[at]))
