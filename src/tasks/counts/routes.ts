import { Elysia } from 'elysia'
import { type Authenticated, requireSession } from '../../http/authenticated.ts'
import type { CountRepository } from './repository.ts'
import { countTasks, listTags } from './schema.ts'

type Needs = { counts: CountRepository; authenticated: Authenticated }

/** How many tasks there are. */
export const countRoutes = ({ counts, authenticated }: Needs) =>
  new Elysia()
    .use(authenticated)
    .get(
      '/counts',
      async ({ principal }) => requireSession(await counts(principal).counts()),
      countTasks,
    )

/** The tags of the tasks, beside `/api/tasks`. */
export const tagRoutes = ({ counts, authenticated }: Needs) =>
  new Elysia({ prefix: '/tags' })
    .use(authenticated)
    .get(
      '',
      async ({ principal }) => ({ tags: requireSession(await counts(principal).tags()) }),
      listTags,
    )
