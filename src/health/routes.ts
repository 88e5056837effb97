import { Elysia, t } from 'elysia'
import { Problem, throwProblem } from '../http/problem.ts'

type Needs = {
  /** The migrations are applied, database and rate-limit store respond, and the service is not shutting down. */
  isReady: () => Promise<boolean>
}

const open = { tags: ['Service'], security: [], 'x-rate-limit': 'none' as const }
const Status = t.Object(
  { status: t.Literal('ok') },
  { additionalProperties: false, $id: 'ServiceStatus' },
)

/** Probes: `/health` for the process, `/ready` for load balancers. */
export const healthRoutes = ({ isReady }: Needs) =>
  new Elysia({ detail: open })
    .get('/health', () => ({ status: 'ok' as const }), {
      response: { 200: Status },
      detail: { operationId: 'health', summary: 'Whether the process runs' },
    })
    .get(
      '/ready',
      async () =>
        (await isReady())
          ? { status: 'ok' as const }
          : throwProblem('unavailable', { headers: { 'retry-after': '1' } }),
      {
        response: { 200: Status, 503: Problem },
        detail: {
          operationId: 'ready',
          summary: 'Whether the database, migrated, and the counters answer',
        },
      },
    )
