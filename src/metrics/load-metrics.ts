import { Elysia } from 'elysia'
import type { Metrics, MetricsNeeds } from './routes.ts'

/** The log and the counters as they are to be used, and what answers `GET /metrics`. */
export type CreateMetrics = (
  needs: Omit<MetricsNeeds, 'token'>,
) => Metrics | (Omit<Metrics, 'plugin'> & { plugin: Elysia })

/**
 * What measures the service, for whoever has the token (`METRICS_TOKEN`); without one nothing is counted, and there
 * is no route. Loaded only where it is asked for: prom-client brings Node's HTTP client and cluster along,
 * which takes 13 ms of CPU at each start.
 */
export const loadMetrics = async (token: string | undefined): Promise<CreateMetrics> => {
  if (token === undefined)
    return ({ log, rateLimitStore }) => ({
      log,
      rateLimitStore,
      plugin: new Elysia({ name: 'metrics' }),
    })
  const { createMetrics } = await import('./routes.ts')
  return (needs) => createMetrics({ ...needs, token })
}
