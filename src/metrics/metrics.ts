import { createHash, timingSafeEqual } from 'node:crypto'
import { Elysia } from 'elysia'
import { Registry } from 'prom-client'
import type { Counters } from '../counters/counters.ts'
import { challenge, refuse } from '../errors.ts'
import type { Log } from '../http/log.ts'
import type { Visits } from '../http/visits.ts'
import { countedLog } from './events.ts'
import { faultMetrics } from './faults.ts'
import { countedCounters } from './limits.ts'
import { requestMetrics } from './requests.ts'
import { type PasswordLoad, stateMetrics, type Vitals } from './state.ts'

export type MetricsNeeds = {
  /** `METRICS_TOKEN`. */
  token: string
  log: Log
  counters: Counters
  visits: Visits
  vitals: Vitals
  passwordLoad: () => PasswordLoad
  isReady: () => Promise<boolean>
  /** Asked once, at the first request, when all routes are there. */
  routes: () => readonly { method: string; path: string }[]
}

/**
 * What this service counts of itself, in a registry of its own, and `GET /metrics` to read it
 * (Prometheus text format 0.0.4).
 *
 * The parts that are to be counted are wrapped and given back: the log, for what happens
 * to sessions, and the counters, for what they decide.
 */
export const metrics = (needs: MetricsNeeds) => {
  const { token, log, counters, visits, routes } = needs

  const registry = new Registry()
  const answered = requestMetrics(registry, routes)
  const failed = faultMetrics(registry)
  stateMetrics(registry, needs)
  const isToken = sameAs(token)

  const plugin = new Elysia({ name: 'metrics' })
    .onAfterResponse({ as: 'global' }, ({ request, set }) => {
      const { route, tookMs = 0, fault } = visits.of(request)
      const status = typeof set.status === 'number' ? set.status : 200
      answered(request.method, route, status, tookMs)
      if (fault !== undefined) failed(fault)
    })
    .get(
      '/metrics',
      ({ request: { headers }, set }) => {
        const authorization = headers.get('authorization')
        const [, given] = /^Bearer +(\S+)$/i.exec(authorization ?? '') ?? []
        if (given === undefined || !isToken(given))
          refuse('unauthenticated', { headers: challenge(authorization !== null) })
        set.headers['content-type'] = registry.contentType
        return registry.metrics()
      },
      { detail: { hide: true, security: [], 'x-budget': 'none' } },
    )

  return {
    log: countedLog(log, registry),
    counters: countedCounters(counters, registry),
    plugin,
  }
}

export type Metrics = ReturnType<typeof metrics>

/** Compares digests: in constant time, and of one length whatever was sent. */
const sameAs = (token: string) => {
  const digest = (text: string) => createHash('sha256').update(text).digest()
  const expected = digest(token)
  return (given: string) => timingSafeEqual(digest(given), expected)
}
