import { Elysia } from 'elysia'
import type { Config } from '../../config/config.ts'
import { type Authenticated, requireSession } from '../../http/authenticated.ts'
import { parseIdempotencyKey, replayResponse } from '../../http/idempotency.ts'
import { throwProblem } from '../../http/problem.ts'
import type { ListRepository } from '../../lists/repository.ts'
import { exportResponse, exportRows, negotiateFormat } from './export.ts'
import { throwFault, toImportRows } from './import.ts'
import type { ImportFault, ImportOutcome } from './import-outcome.ts'
import type { TransferRepository } from './repository.ts'
import { exportTasks, type Imported, importTasks } from './schema.ts'

type Needs = {
  transfer: TransferRepository
  lists: ListRepository
  authenticated: Authenticated
  config: Pick<Config, 'importing'>
}

/** Export and import. */
export const transferRoutes = ({ transfer, lists, authenticated, config }: Needs) =>
  new Elysia()
    .use(authenticated)

    .get(
      '/export',
      async ({ principal, query, request }) => {
        const { page } = transfer(principal)
        const read = (last?: string) => page(exportRows, last)
        const format = negotiateFormat(query.format, request.headers.get('accept'))
        const all = format === 'json' ? requireSession(await lists(principal).all()) : []
        return exportResponse({ lists: all, page: requireSession(await read()) }, read, format)
      },
      exportTasks,
    )

    .post(
      '/import',
      async ({ principal, body, query, request, set }) => {
        const key = parseIdempotencyKey(request, body)
        const { rowsMax } = config.importing
        const { from, mode = 'create' } = query
        const read = await toImportRows(body, { from, mode, rowsMax })
        const { rows, dropped } = read
        if (query.dry_run === 'true') {
          const fault = requireSession(await transfer(principal).check(read))
          if (fault !== null) throwFault(read, fault)
          return { valid: rows.length, dropped }
        }
        const result = requireSession(await transfer(principal).add(read, key))
        if (isFault(result)) return throwFault(read, result)
        if ('count' in result) {
          const { count: imported, updated, ids } = result
          return { imported, updated, ids, dropped }
        }
        if ('inFlight' in result) return throwProblem('idempotency-in-flight')
        if (key === undefined) throw new Error('a stored response for a request without a key')
        return replayResponse(result.storedResponse, key, set.headers) as Imported
      },
      importTasks,
    )

const isFault = (result: ImportOutcome): result is ImportFault =>
  result === 'too-many-lists' || 'refused' in result || 'unknownList' in result
