import { Elysia } from 'elysia'
import { alive, type SignedIn } from '../auth/guard.ts'
import { existing, written } from './answers.ts'
import { onceOf } from './idempotency.ts'
import * as operations from './operations.ts'
import { etagOf, ifMatch, isKnown } from './preconditions.ts'
import type { TasksOf } from './repository.ts'
import * as trashOperations from './trash-operations.ts'

type Needs = { tasksOf: TasksOf; signedIn: SignedIn }

/** One task at a time. */
export const taskRoutes = ({ tasksOf, signedIn }: Needs) =>
  new Elysia()
    .use(signedIn)
    .derive(({ caller }) => ({ tasks: tasksOf(caller) }))

    .post(
      '',
      async ({ tasks, body, request, set }) => {
        const once = onceOf(request, body)
        const task = once
          ? written(await tasks.addOnce(body, once), set, once)
          : alive(await tasks.add(body))
        set.status = 201
        set.headers.location = `/api/tasks/${task.id}`
        set.headers.etag ??= etagOf(task)
        return task
      },
      operations.add,
    )

    .get(
      '/:id',
      async ({ tasks, params, request, set, status }) => {
        const task = existing(await tasks.find(params.id))
        set.headers.etag = etagOf(task)
        return isKnown(request.headers, etagOf(task)) ? status(304, undefined) : task
      },
      operations.read,
    )

    .put(
      '/:id',
      async ({ tasks, params, body, request, set }) =>
        written(await tasks.replace(params.id, body, ifMatch(request.headers)), set),
      operations.replace,
    )

    .patch(
      '/:id',
      async ({ tasks, params, body, request, set }) =>
        written(await tasks.change(params.id, body, ifMatch(request.headers)), set),
      operations.change,
    )

    .patch(
      '/:id/complete',
      async ({ tasks, params, body, request, set }) => {
        const once = onceOf(request, body)
        const condition = ifMatch(request.headers)
        const found = once
          ? await tasks.completeOnce(params.id, body?.completed, condition, once)
          : await tasks.complete(params.id, body?.completed, condition)
        const { completed } = written(found, set, once)
        return { success: true as const, completed }
      },
      operations.complete,
    )

    .delete(
      '/:id',
      async ({ tasks, params, request }) => {
        written(await tasks.remove(params.id, ifMatch(request.headers)), { headers: {} })
        return { success: true as const }
      },
      operations.remove,
    )

    .post(
      '/:id/restore',
      async ({ tasks, params, request, set }) =>
        written(await tasks.restore(params.id, ifMatch(request.headers)), set),
      trashOperations.restore,
    )
