import { Elysia } from 'elysia'
import type { Fleet } from './fleet.ts'
import type { Metrics, MetricsNeeds } from './routes.ts'

/** Returns the log and the rate-limit store wrapped with counters, and the route of `GET /metrics`. */
export type CreateMetrics = (
  needs: Omit<MetricsNeeds, 'token' | 'fleet'>,
) => Metrics | (Omit<Metrics, 'routes'> & { routes: Elysia })

/**
 * The metrics, if `METRICS_TOKEN` is set. Without it nothing is counted and there is no route.
 *
 * prom-client is loaded only then: it imports Node's HTTP client and cluster modules, which cost 13 ms of CPU at
 * each start.
 */
export const loadMetrics = async (
  token: string | undefined,
  fleet?: Fleet,
): Promise<CreateMetrics> => {
  if (token === undefined)
    return ({ log, rateLimitStore }) => ({
      log,
      rateLimitStore,
      routes: new Elysia({ name: 'metrics' }),
    })
  const { createMetrics } = await import('./routes.ts')
  return (needs) => createMetrics({ ...needs, token, fleet })
}
