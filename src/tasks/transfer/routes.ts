import { Elysia } from 'elysia'
import type { Config } from '../../config/config.ts'
import { now } from '../../db/clock.ts'
import { type Authenticated, requireSession } from '../../http/authenticated.ts'
import { parseIdempotencyKey, replayResponse } from '../../http/idempotency.ts'
import { throwProblem } from '../../http/problem.ts'
import { refuseConflicts } from '../task/stored-conflicts.ts'
import { exportResponse, exportRows, negotiateFormat } from './export.ts'
import { toImportRows } from './import.ts'
import type { TransferRepository } from './repository.ts'
import { exportTasks, type Imported, importTasks } from './schema.ts'

type Needs = {
  transfer: TransferRepository
  authenticated: Authenticated
  config: Pick<Config, 'importing'>
}

/** Export and import. */
export const transferRoutes = ({ transfer, authenticated, config }: Needs) =>
  new Elysia()
    .use(authenticated)

    .get(
      '/export',
      async ({ principal, query, request }) => {
        const { page } = transfer(principal)
        const read = (last?: string) => page(exportRows, last)
        const format = negotiateFormat(query.format, request.headers.get('accept'))
        return exportResponse(requireSession(await read()), read, format)
      },
      exportTasks,
    )

    .post(
      '/import',
      async ({ principal, body, query, request, set }) => {
        const key = parseIdempotencyKey(request, body)
        const rows = await toImportRows(body, config.importing.rowsMax, now())
        const { page, add } = transfer(principal)
        if (query.dry_run === 'true') {
          requireSession(await page(0))
          return { valid: rows.length }
        }
        const result = requireSession(await refuseConflicts({}, () => add(rows, key)))
        if ('count' in result) return { imported: result.count, ids: rows.map(({ id }) => id) }
        if ('inFlight' in result) return throwProblem('idempotency-in-flight')
        if (key === undefined) throw new Error('a stored response for a request without a key')
        return replayResponse(result.storedResponse, key, set.headers) as Imported
      },
      importTasks,
    )
