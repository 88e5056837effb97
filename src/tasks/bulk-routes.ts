import { Elysia } from 'elysia'
import { addSeconds, now } from '../db/clock.ts'
import { type Authenticated, requireSession } from '../http/authenticated.ts'
import type { CursorCodec } from '../http/cursor-codec.ts'
import { parseIdempotencyKey, replayResponse } from '../http/idempotency.ts'
import { throwProblem } from '../http/problem.ts'
import { runBatch } from './batch/operations.ts'
import type { BatchRepository } from './batch/repository.ts'
import * as operations from './bulk-operations.ts'
import type { ChangesRepository, Progress } from './changes/repository.ts'
import { exportResponse, exportRows, negotiateFormat } from './transfer/export.ts'
import { toImportRows } from './transfer/import.ts'
import type { TransferRepository } from './transfer/repository.ts'

type Needs = {
  batchRepository: BatchRepository
  changesRepository: ChangesRepository
  transferRepository: TransferRepository
  cursorCodec: CursorCodec
  authenticated: Authenticated
  trashDays: number
  importRowsMax: number
}

/** What a changes token says: how far a copy has come, and when it had seen everything last. */
type Token = Progress & { at: string }

/** Many tasks at once. */
export const bulkRoutes = (needs: Needs) => {
  const {
    batchRepository,
    changesRepository,
    transferRepository,
    cursorCodec,
    authenticated,
    trashDays,
  } = needs

  const progress = (since: string, binding: string): Token => {
    const token = cursorCodec.decode<Token>(since, binding) ?? throwProblem('malformed-request')
    // What was erased since may have left no tombstone any more.
    if (token.at < addSeconds(now(), -trashDays * 86_400)) throwProblem('sync-expired')
    return token
  }

  return new Elysia()
    .use(authenticated)

    .post(
      '/batch',
      ({ principal, body, request, set }) =>
        runBatch(batchRepository(principal), body, parseIdempotencyKey(request, body), set),
      operations.batch,
    )

    .get(
      '/changes',
      async ({ principal, query }) => {
        const binding = JSON.stringify([principal.userId, 'changes'])
        const at = now()
        const since = query.since === undefined ? undefined : progress(query.since, binding)
        const found = requireSession(
          await changesRepository(principal)(Number(query.limit ?? 50), since),
        )
        // As long as there is more, the copy has not seen everything since it last had.
        const seenAt = found.has_more ? (since?.at ?? at) : at
        const next = cursorCodec.encode({ ...found.progress, at: seenAt }, binding)
        return { changes: found.changes, next, has_more: found.has_more }
      },
      operations.changes,
    )

    .get(
      '/export',
      async ({ principal, query, request }) => {
        const transfers = transferRepository(principal)
        const read = (last?: string) => transfers.page(exportRows, last)
        const name = negotiateFormat(query.format, request.headers.get('accept'))
        return exportResponse(requireSession(await read()), read, name)
      },
      operations.exportAll,
    )

    .post(
      '/import',
      async ({ principal, body, query, request, set }) => {
        const rows = await toImportRows(body, needs.importRowsMax, now())
        const transfers = transferRepository(principal)
        if (query.dry_run === 'true') {
          requireSession(await transfers.page(0))
          return { valid: rows.length }
        }
        const idempotencyKey = parseIdempotencyKey(request, body)
        const found = requireSession(await transfers.add(rows, idempotencyKey))
        if ('count' in found) return { imported: found.count }
        if ('inFlight' in found) return throwProblem('idempotency-in-flight')
        if (idempotencyKey === undefined)
          throw new Error('a kept answer to a request without a key')
        return replayResponse(found.storedResponse, idempotencyKey, set.headers) as {
          imported: number
        }
      },
      operations.importAll,
    )
}
