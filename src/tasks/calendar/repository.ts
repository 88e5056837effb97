import { and, asc, eq, gt, sql } from 'drizzle-orm'
import { calendarScope } from '../../auth/calendar-feeds/secret.ts'
import { now } from '../../db/clock.ts'
import type { Db } from '../../db/database.ts'
import { runRead } from '../../db/errors.ts'
import { param } from '../../db/params.ts'
import { prepareStatement } from '../../db/prepared-statement.ts'
import { sessions, tasks, userChanges } from '../../db/schema.ts'
import { type Principal, placeholders, TRUE } from '../../db/user-scope.ts'
import type { Task } from '../task/schema.ts'
import { isActiveTask, taskColumns, toTask } from '../task/sql.ts'

/** The number of the user's last change, and tasks in the order of ids; none if the change is known. */
export type CalendarPage = { change: number; tasks: Task[] }

/** The owner of a feed, and the hash of its secret. */
type Subscriber = Principal & { calendarHash?: string }

type Range = { rows: number; last?: string | undefined; known?: number | undefined }

const feedStatement = (db: Db) => {
  const feed = db.$with('feed').as(
    db
      .select({ session_id: sessions.id })
      .from(sessions)
      .where(
        and(
          eq(sessions.user_id, placeholders.user),
          eq(sessions.id, placeholders.session),
          eq(sessions.scope, calendarScope),
          eq(sessions.secret_hash, sql.placeholder('hash')),
          gt(sessions.expires_at, placeholders.now),
        ),
      ),
  )
  const head = db
    .select({ change: userChanges.last })
    .from(userChanges)
    .where(eq(userChanges.user_id, placeholders.user))
    .as('head')
  const task = db
    .select(taskColumns)
    .from(tasks)
    .where(
      and(
        isActiveTask,
        gt(tasks.id, sql.placeholder('last')),
        sql`${head.change} <> ${param('known', 'bigint')}`,
      ),
    )
    .orderBy(asc(tasks.id))
    .limit(sql.placeholder('rows'))
    .as('task')
  return db.with(feed).select().from(feed).innerJoin(head, TRUE).leftJoinLateral(task, TRUE)
}

/** Reads the tasks of a calendar feed, by one statement per page. Undefined: the feed has ended. */
export const createCalendarRepository = (db: Db) => {
  const statement = prepareStatement(db, () => feedStatement(db))

  return ({ userId, sessionId, calendarHash = '' }: Subscriber) =>
    async ({
      rows,
      last = '00000000-0000-0000-0000-000000000000',
      known = -1,
    }: Range): Promise<CalendarPage | undefined> => {
      const scope = { user: userId, session: sessionId, hash: calendarHash, now: now() }
      const found = await runRead(() => statement.execute({ ...scope, rows, last, known }))
      const [first] = found
      if (first === undefined) return undefined
      const tasks = found.flatMap(({ task }) => (task ? toTask(task) : []))
      return { change: first.head.change, tasks }
    }
}

export type CalendarRepository = ReturnType<typeof createCalendarRepository>
