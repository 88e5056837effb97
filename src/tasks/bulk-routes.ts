import { Elysia } from 'elysia'
import { alive, type SignedIn } from '../auth/guard.ts'
import { later, now } from '../db/now.ts'
import { refuse } from '../errors.ts'
import { runBatch } from './batch.ts'
import type { BatchOf } from './batch-repository.ts'
import * as operations from './bulk-operations.ts'
import type { ChangesOf, Progress } from './changes-repository.ts'
import { exported, exportRows, formatOf } from './export.ts'
import { onceOf, replayed } from './idempotency.ts'
import { rowsOf } from './import.ts'
import type { Seals } from './seals.ts'
import type { TransfersOf } from './transfer-repository.ts'

type Needs = {
  batchOf: BatchOf
  changesOf: ChangesOf
  transfersOf: TransfersOf
  seals: Seals
  signedIn: SignedIn
  trashDays: number
  importRowsMax: number
}

/** What a changes token says: how far a copy has come, and when it had seen everything last. */
type Token = Progress & { at: string }

/** Many tasks at once. */
export const bulkRoutes = (needs: Needs) => {
  const { batchOf, changesOf, transfersOf, seals, signedIn, trashDays } = needs

  const progress = (since: string, bound: string): Token => {
    const token = seals.open<Token>(since, bound) ?? refuse('malformed-request')
    // What was erased since may have left no tombstone any more.
    if (token.at < later(now(), -trashDays * 86_400)) refuse('sync-expired')
    return token
  }

  return new Elysia()
    .use(signedIn)

    .post(
      '/batch',
      ({ caller, body, request, set }) =>
        runBatch(batchOf(caller), body, onceOf(request, body), set),
      operations.batch,
    )

    .get(
      '/changes',
      async ({ caller, query }) => {
        const bound = JSON.stringify([caller.userId, 'changes'])
        const at = now()
        const since = query.since === undefined ? undefined : progress(query.since, bound)
        const found = alive(await changesOf(caller)(Number(query.limit ?? 50), since))
        // As long as there is more, the copy has not seen everything since it last had.
        const seenAt = found.has_more ? (since?.at ?? at) : at
        const next = seals.seal({ ...found.progress, at: seenAt }, bound)
        return { changes: found.changes, next, has_more: found.has_more }
      },
      operations.changes,
    )

    .get(
      '/export',
      async ({ caller, query, request }) => {
        const transfers = transfersOf(caller)
        const read = (last?: string) => transfers.page(exportRows, last)
        const name = formatOf(query.format, request.headers.get('accept'))
        return exported(alive(await read()), read, name)
      },
      operations.exportAll,
    )

    .post(
      '/import',
      async ({ caller, body, query, request, set }) => {
        const rows = await rowsOf(body, needs.importRowsMax, now())
        const transfers = transfersOf(caller)
        if (query.dry_run === 'true') {
          alive(await transfers.page(0))
          return { valid: rows.length }
        }
        const once = onceOf(request, body)
        const found = alive(await transfers.add(rows, once))
        if ('count' in found) return { imported: found.count }
        if ('inFlight' in found) return refuse('idempotency-in-flight')
        if (once === undefined) throw new Error('a kept answer to a request without a key')
        return replayed(found.kept, once, set.headers) as { imported: number }
      },
      operations.importAll,
    )
}
