import { createHash, timingSafeEqual } from 'node:crypto'
import { Elysia } from 'elysia'
import { AggregatorRegistry, Counter, Gauge, Registry } from 'prom-client'
import { bearerChallenge, parseBearer } from '../http/bearer.ts'
import { throwProblem } from '../http/problem.ts'
import type { RequestContexts } from '../http/request-context.ts'
import type { Log } from '../log.ts'
import type { RateLimitCounters } from '../rate-limit/store.ts'
import { createDatabaseErrorMetrics } from './database-error-metrics.ts'
import type { Fleet, FleetMetrics } from './fleet.ts'
import { type PasswordLoad, type ProcessState, registerGauges } from './gauges.ts'
import type { LiveParts } from './live-gauges.ts'
import { withLogMetrics } from './log-metrics.ts'
import { withRateLimitMetrics } from './rate-limit-metrics.ts'
import { createRequestMetrics } from './request-metrics.ts'

export type MetricsNeeds = {
  /** `METRICS_TOKEN`. */
  token: string
  /** Undefined: this process is the only one. */
  fleet: Fleet | undefined
  log: Log
  rateLimitStore: RateLimitCounters
  contexts: RequestContexts
  processState: ProcessState
  passwordLoad: () => PasswordLoad
  live: () => LiveParts
  isReady: () => Promise<boolean>
  /** Called once, at the first request, when all routes are registered. */
  routes: () => readonly { method: string; path: string }[]
}

/**
 * The metrics of one service in a registry of its own, and `GET /metrics` (Prometheus text format 0.0.4).
 *
 * Log and rate-limit store are returned wrapped, so that their events are counted.
 */
export const createMetrics = (needs: MetricsNeeds) => {
  const { token, fleet, log, rateLimitStore, contexts, routes } = needs
  const registry = new Registry()
  const countRequest = createRequestMetrics(registry, routes)
  const countDatabaseError = createDatabaseErrorMetrics(registry)
  registerGauges(registry, needs)
  if (fleet) registry.setDefaultLabels({ worker: String(fleet.worker) })
  fleet?.provide(() => registry.getMetricsAsJSON())
  const isToken = createTokenComparison(token)

  const metricsRoutes = new Elysia({ name: 'metrics' })
    .onAfterResponse({ as: 'global' }, ({ request, set }) => {
      const { route, durationMs = 0, databaseErrorCode } = contexts.of(request)
      const status = typeof set.status === 'number' ? set.status : 200
      countRequest(request.method, route, status, durationMs)
      if (databaseErrorCode !== undefined) countDatabaseError(databaseErrorCode)
    })
    .get(
      '/metrics',
      async ({ request: { headers }, set }) => {
        const authorization = headers.get('authorization')
        const sent = parseBearer(authorization)
        if (sent === undefined || !isToken(sent))
          throwProblem('unauthenticated', { headers: bearerChallenge(authorization !== null) })
        set.headers['content-type'] = registry.contentType
        return (fleet ? combine(await fleet.collect()) : registry).metrics()
      },
      { detail: { hide: true, security: [], 'x-rate-limit': 'none' } },
    )

  return {
    log: withLogMetrics(log, registry),
    rateLimitStore: withRateLimitMetrics(rateLimitStore, registry),
    routes: metricsRoutes,
  }
}

export type Metrics = ReturnType<typeof createMetrics>

/** The series of all workers, and what the supervisor knows. */
const combine = ({ snapshots, running, restarts }: FleetMetrics) => {
  const all = AggregatorRegistry.aggregate(snapshots)
  const registers = [all]
  new Gauge({ name: 'taskwarden_workers', help: 'Worker processes that run.', registers }).set(
    running,
  )
  new Counter({
    name: 'taskwarden_worker_restarts_total',
    help: 'Workers that ended and were started again.',
    registers,
  }).inc(restarts)
  return all
}

/** Compares digests: in constant time, and of equal length for any input. */
const createTokenComparison = (token: string) => {
  const digest = (text: string) => createHash('sha256').update(text).digest()
  const expected = digest(token)
  return (sent: string) => timingSafeEqual(digest(sent), expected)
}
