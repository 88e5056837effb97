import { Elysia } from 'elysia'
import type { Config } from '../../config/config.ts'
import { now } from '../../db/clock.ts'
import { type Authenticated, requireSession } from '../../http/authenticated.ts'
import { parseIdempotencyKey, replayResponse } from '../../http/idempotency.ts'
import { throwProblem } from '../../http/problem.ts'
import type { ListRepository } from '../../lists/repository.ts'
import { exportResponse, exportRows, negotiateFormat } from './export.ts'
import { requireLists, throwNoSuchList, toImportRows } from './import.ts'
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
        const read = await toImportRows(body, { from: query.from, rowsMax, now: now() })
        const { rows, dropped } = read
        if (query.dry_run === 'true') {
          const own = requireSession(await lists(principal).all())
          requireLists(read, new Set(own.map(({ id }) => id)))
          return { valid: rows.length, dropped }
        }
        const result = requireSession(await transfer(principal).add(read, key))
        if (result === 'too-many-lists') return throwProblem(result)
        if ('unknownList' in result) return throwNoSuchList(read, result.unknownList)
        if ('count' in result)
          return { imported: result.count, ids: rows.map(({ id }) => id), dropped }
        if ('inFlight' in result) return throwProblem('idempotency-in-flight')
        if (key === undefined) throw new Error('a stored response for a request without a key')
        return replayResponse(result.storedResponse, key, set.headers) as Imported
      },
      importTasks,
    )
