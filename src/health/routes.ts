import { Elysia, t } from 'elysia'
import { Problem, throwProblem } from '../http/problem.ts'

type Needs = {
  /**
   * Whether the service may be sent requests: the database and the limits' counters
   * answer, the migrations are in, and nobody said stop.
   */
  isReady: () => Promise<boolean>
}

const open = { tags: ['Service'], security: [], 'x-budget': 'none' as const }
const Status = t.Object({ status: t.Literal('ok') }, { additionalProperties: false, $id: 'Status' })

/** For probes: the process runs; it may be sent requests. */
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
