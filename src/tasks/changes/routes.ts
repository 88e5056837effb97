import { Elysia } from 'elysia'
import type { Config } from '../../config/config.ts'
import { addSeconds, now } from '../../db/clock.ts'
import { type Authenticated, requireSession } from '../../http/authenticated.ts'
import type { CursorCodec } from '../../http/cursor-codec.ts'
import { throwMalformedRequest, throwProblem } from '../../http/problem.ts'
import type { ChangesRepository, Progress } from './repository.ts'
import { listChanges } from './schema.ts'

type Needs = {
  changes: ChangesRepository
  cursorCodec: CursorCodec
  authenticated: Authenticated
  config: Pick<Config, 'trashDays'>
}

/** The content of a changes token: the progress of a copy, and when the copy was last complete. */
type Token = Progress & { at: string }

/** The changes feed, for clients that keep a copy. */
export const changesRoutes = ({ changes, cursorCodec, authenticated, config }: Needs) => {
  const decodeToken = (since: string, binding: string): Token => {
    const token =
      cursorCodec.decode<Token>(since, binding) ??
      throwMalformedRequest('query', '/since', 'must be the `next` of an earlier response')
    // Tombstones from before this time may be deleted.
    if (token.at < addSeconds(now(), -config.trashDays * 86_400)) throwProblem('sync-expired')
    return token
  }

  return new Elysia().use(authenticated).get(
    '/changes',
    async ({ principal, query }) => {
      const binding = JSON.stringify([principal.userId, 'changes'])
      const at = now()
      const since = query.since === undefined ? undefined : decodeToken(query.since, binding)
      const limit = Number(query.limit ?? 50)
      const page = requireSession(await changes(principal)(limit, since))
      // While there are more changes, the copy is complete as of the earlier time only.
      const completeAt = page.has_more ? (since?.at ?? at) : at
      const next = cursorCodec.encode({ ...page.progress, at: completeAt }, binding)
      return { changes: page.changes, next, has_more: page.has_more }
    },
    listChanges,
  )
}
