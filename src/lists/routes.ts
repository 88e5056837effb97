import { Elysia } from 'elysia'
import type { Db } from '../db/database.ts'
import { type Authenticated, requireSession } from '../http/authenticated.ts'
import { formatEtag, matchesIfNoneMatch, parseIfMatch } from '../http/conditional.ts'
import { throwInvalidRequest, throwProblem } from '../http/problem.ts'
import { toAnchor } from '../tasks/move/anchor.ts'
import type { ResponseHead } from '../tasks/task/responses.ts'
import { createListRepository, type ListResult } from './repository.ts'
import * as schema from './schema.ts'

type Needs = { db: Db; authenticated: Authenticated }

/** The lists of the current user. */
export const listRoutes = ({ db, authenticated }: Needs) => {
  const lists = createListRepository(db)

  return new Elysia({ prefix: '/lists' })
    .use(authenticated)
    .derive(({ principal }) => ({ own: lists(principal) }))

    .get('', async ({ own }) => ({ lists: requireSession(await own.all()) }), schema.listLists)

    .post(
      '',
      async ({ own, body, set }) => {
        const list = requireSession(await own.add(body.name)) ?? throwProblem('too-many-lists')
        if (list === 'name-taken') return throwProblem('list-name-taken')
        set.status = 201
        set.headers.location = `/api/lists/${list.id}`
        set.headers.etag = formatEtag(list)
        return list
      },
      schema.createList,
    )

    .get(
      '/:id',
      async ({ own, params, request, set, status }) => {
        const list = requireList(await own.find(params.id))
        const etag = formatEtag(list)
        set.headers.etag = etag
        return matchesIfNoneMatch(request.headers, etag) ? status(304, undefined) : list
      },
      schema.getList,
    )

    .patch(
      '/:id',
      async ({ own, params, body, request, set }) =>
        respond(await own.change(params.id, body, parseIfMatch(request.headers)), set),
      schema.updateList,
    )

    .post(
      '/:id/move',
      async ({ own, params, body, request, set }) => {
        const anchor =
          toAnchor(params.id, body) ?? throwInvalidRequest('', 'must have before or after')
        const result = await own.move(params.id, anchor, parseIfMatch(request.headers))
        if (result === 'no-anchor') return throwInvalidRequest(`/${anchor.side}`, 'no such list')
        return respond(result, set)
      },
      schema.moveList,
    )

    .delete(
      '/:id',
      async ({ own, params, query, request }) => {
        const toTrash = query.tasks === 'trash'
        const removed = await own.remove(params.id, toTrash, parseIfMatch(request.headers))
        const result = requireList(removed)
        if (result !== true) throwChanged(result)
        return { success: true as const }
      },
      schema.deleteList,
    )
}

/** The result of a repository, or 401 or 404. */
const requireList = <T>(found: T | null | undefined): T =>
  requireSession(found) ?? throwProblem('list-not-found')

const throwChanged = (current: { version: number }): never =>
  throwProblem('version-mismatch', { headers: { etag: formatEtag(current) } })

const respond = (result: ListResult | null | undefined, set: ResponseHead) => {
  const found = requireList(result)
  if (found === 'name-taken') return throwProblem('list-name-taken')
  if (found === 'no-anchor') throw new Error('a write without an anchor lacks one')
  if ('version' in found) return throwChanged(found)
  set.headers.etag = formatEtag(found.list)
  return found.list
}
