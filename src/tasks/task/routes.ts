import { Elysia } from 'elysia'
import { type Authenticated, requireSession } from '../../http/authenticated.ts'
import { formatEtag, matchesIfNoneMatch, parseIfMatch } from '../../http/conditional.ts'
import { parseIdempotencyKey } from '../../http/idempotency.ts'
import {
  completeTask,
  createTask,
  deleteTask,
  getTask,
  replaceTask,
  updateTask,
} from './operations.ts'
import type { TaskRepository } from './repository.ts'
import { requireTask, respondToCompletion, respondToWrite } from './responses.ts'
import { planningErrors, refuseConflicts, wholeTaskErrors } from './stored-conflicts.ts'

type Needs = { tasks: TaskRepository; authenticated: Authenticated }

/** One task at a time. */
export const taskRoutes = ({ tasks, authenticated }: Needs) =>
  new Elysia()
    .use(authenticated)
    .derive(({ principal }) => ({ own: tasks(principal) }))

    .post(
      '',
      async ({ own, body, request, set }) => {
        const key = parseIdempotencyKey(request, body)
        const task = await refuseConflicts(wholeTaskErrors(body), body, async () =>
          key
            ? respondToWrite(await own.addIdempotent(body, key), set, key)
            : requireSession(await own.add(body)),
        )
        set.status = 201
        set.headers.location = `/api/tasks/${task.id}`
        set.headers.etag ??= formatEtag(task)
        return task
      },
      createTask,
    )

    .get(
      '/:id',
      async ({ own, params, request, set, status }) => {
        const task = requireTask(await own.find(params.id))
        const etag = formatEtag(task)
        set.headers.etag = etag
        return matchesIfNoneMatch(request.headers, etag) ? status(304, undefined) : task
      },
      getTask,
    )

    .put(
      '/:id',
      async ({ own, params, body, request, set }) => {
        const expected = parseIfMatch(request.headers)
        const replace = () => own.replace(params.id, body, expected)
        return respondToWrite(await refuseConflicts(wholeTaskErrors(body), body, replace), set)
      },
      replaceTask,
    )

    .patch(
      '/:id',
      async ({ own, params, body, request, set }) => {
        const expected = parseIfMatch(request.headers)
        const change = () => own.change(params.id, body, expected)
        return respondToWrite(await refuseConflicts(planningErrors(body), body, change), set)
      },
      updateTask,
    )

    .patch(
      '/:id/complete',
      async ({ own, params, body, request, set }) => {
        const key = parseIdempotencyKey(request, body)
        const expected = parseIfMatch(request.headers)
        const result = key
          ? await own.completeIdempotent(params.id, body?.completed, expected, key)
          : await own.complete(params.id, body?.completed, expected)
        return respondToCompletion(result, set, key)
      },
      completeTask,
    )

    .delete(
      '/:id',
      async ({ own, params, request }) => {
        const result = await own.remove(params.id, parseIfMatch(request.headers))
        respondToWrite(result, { headers: {} })
        return { success: true as const }
      },
      deleteTask,
    )
