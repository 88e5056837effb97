import { Elysia } from 'elysia'
import { type Authenticated, requireSession } from '../../http/authenticated.ts'
import { formatEtag, matchesIfNoneMatch, parseIfMatch } from '../../http/conditional.ts'
import { parseIdempotencyKey } from '../../http/idempotency.ts'
import * as trashOperations from '../trash/schema.ts'
import * as operations from './operations.ts'
import type { TaskRepository } from './repository.ts'
import { requireTask, respondToWrite } from './responses.ts'

type Needs = { taskRepository: TaskRepository; authenticated: Authenticated }

/** One task at a time. */
export const taskRoutes = ({ taskRepository, authenticated }: Needs) =>
  new Elysia()
    .use(authenticated)
    .derive(({ principal }) => ({ tasks: taskRepository(principal) }))

    .post(
      '',
      async ({ tasks, body, request, set }) => {
        const idempotencyKey = parseIdempotencyKey(request, body)
        const task = idempotencyKey
          ? respondToWrite(await tasks.addIdempotent(body, idempotencyKey), set, idempotencyKey)
          : requireSession(await tasks.add(body))
        set.status = 201
        set.headers.location = `/api/tasks/${task.id}`
        set.headers.etag ??= formatEtag(task)
        return task
      },
      operations.add,
    )

    .get(
      '/:id',
      async ({ tasks, params, request, set, status }) => {
        const task = requireTask(await tasks.find(params.id))
        set.headers.etag = formatEtag(task)
        return matchesIfNoneMatch(request.headers, formatEtag(task)) ? status(304, undefined) : task
      },
      operations.read,
    )

    .put(
      '/:id',
      async ({ tasks, params, body, request, set }) =>
        respondToWrite(await tasks.replace(params.id, body, parseIfMatch(request.headers)), set),
      operations.replace,
    )

    .patch(
      '/:id',
      async ({ tasks, params, body, request, set }) =>
        respondToWrite(await tasks.change(params.id, body, parseIfMatch(request.headers)), set),
      operations.change,
    )

    .patch(
      '/:id/complete',
      async ({ tasks, params, body, request, set }) => {
        const idempotencyKey = parseIdempotencyKey(request, body)
        const expectedVersions = parseIfMatch(request.headers)
        const found = idempotencyKey
          ? await tasks.completeIdempotent(
              params.id,
              body?.completed,
              expectedVersions,
              idempotencyKey,
            )
          : await tasks.complete(params.id, body?.completed, expectedVersions)
        const { completed } = respondToWrite(found, set, idempotencyKey)
        return { success: true as const, completed }
      },
      operations.complete,
    )

    .delete(
      '/:id',
      async ({ tasks, params, request }) => {
        respondToWrite(await tasks.remove(params.id, parseIfMatch(request.headers)), {
          headers: {},
        })
        return { success: true as const }
      },
      operations.remove,
    )

    .post(
      '/:id/restore',
      async ({ tasks, params, request, set }) =>
        respondToWrite(await tasks.restore(params.id, parseIfMatch(request.headers)), set),
      trashOperations.restore,
    )
