import { Elysia } from 'elysia'
import { alive, type SignedIn } from '../auth/guard.ts'
import { refuse } from '../errors.ts'
import type { Cursors, Position } from './cursor.ts'
import type { Task } from './model.ts'
import * as operations from './operations.ts'
import type { TasksOf } from './repository.ts'

type Needs = { tasksOf: TasksOf; cursors: Cursors; signedIn: SignedIn }

export const taskRoutes = ({ tasksOf, cursors, signedIn }: Needs) =>
  new Elysia({ prefix: '/tasks', detail: { tags: ['Tasks'] } })
    .use(signedIn)
    .derive(({ caller }) => ({ tasks: tasksOf(caller) }))

    .get(
      '',
      async ({ tasks, caller, query, set }) => {
        const limit = Number(query.limit ?? 50)
        const bound = JSON.stringify([caller.userId, 'tasks', '-created_at'])
        const after = query.cursor === undefined ? undefined : opened(cursors, query.cursor, bound)

        const rows = alive(await tasks.page(limit + 1, after))

        const page = rows.slice(0, limit)
        const last = rows.length > limit ? page.at(-1) : undefined
        if (last === undefined) return { tasks: page, next_cursor: null }
        const next_cursor = cursors.seal([last.created_at, last.id], bound)
        const next = new URLSearchParams({ limit: String(limit), cursor: next_cursor })
        set.headers.link = `</api/tasks?${next}>; rel="next"`
        return { tasks: page, next_cursor }
      },
      operations.list,
    )

    .post(
      '',
      async ({ tasks, body, set }) => {
        const task = alive(await tasks.add(body))
        set.status = 201
        set.headers.location = `/api/tasks/${task.id}`
        set.headers.etag = etag(task)
        return task
      },
      operations.add,
    )

    .get(
      '/:id',
      async ({ tasks, params, set }) => {
        const task = existing(await tasks.find(params.id))
        set.headers.etag = etag(task)
        return task
      },
      operations.read,
    )

    .put(
      '/:id',
      async ({ tasks, params, body, set }) => {
        const task = existing(await tasks.replace(params.id, body))
        set.headers.etag = etag(task)
        return task
      },
      operations.replace,
    )

    .patch(
      '/:id/complete',
      async ({ tasks, params, body, set }) => {
        const task = existing(await tasks.complete(params.id, body?.completed))
        set.headers.etag = etag(task)
        return { success: true as const, completed: task.completed }
      },
      operations.complete,
    )

    .delete(
      '/:id',
      async ({ tasks, params }) => {
        existing(await tasks.remove(params.id))
        return { success: true as const }
      },
      operations.remove,
    )

/** Absent, deleted, somebody else's and malformed ids are one answer: nothing is confirmed to exist. */
const existing = (found: Task | null | undefined): Task => alive(found) ?? refuse('task-not-found')

/** A strong validator (RFC 9110 §8.8.3): the version changes with every write. */
const etag = ({ version }: Task) => `"${version}"`

const opened = (cursors: Cursors, cursor: string, bound: string): Position =>
  cursors.open(cursor, bound) ?? refuse('malformed-request')
