import { and, asc, eq, type SQL, sql } from 'drizzle-orm'
import type { Db } from '../../db/database.ts'
import { runRead } from '../../db/errors.ts'
import { prepareStatement } from '../../db/prepared-statement.ts'
import { lists, tasks } from '../../db/schema.ts'
import {
  createUserScope,
  type Principal,
  placeholders,
  scopeParameters,
  TRUE,
} from '../../db/user-scope.ts'
import { daysOf } from '../listing/days.ts'
import { activeTasksOf, trashedTasks } from '../task/sql.ts'
import { tagsMax } from './schema.ts'

/**
 * One row for the inbox and for each list, with the counts of its open tasks, and those of completed ones and of the trash. Each
 * count reads an index alone, and the days of the user are calculated once instead of per task.
 */
const countStatement = (db: Db) => {
  const { sessionRow } = createUserScope(db, placeholders)
  const { now, today, startOf } = daysOf(placeholders)
  const once = (value: SQL) => sql`(select ${value})`
  const day = once(today)
  const [start, end] = [once(startOf(0)), once(startOf(1))]
  const { due_at, due_on } = tasks
  const isOverdue = sql`${due_at} < ${now}::timestamptz or ${due_on} < ${day}`
  const isToday = sql`${due_on} = ${day} or (${due_at} >= ${start} and ${due_at} < ${end})`
  const count = <Name extends string>(name: Name, condition: SQL) =>
    sql<number>`(count(*) filter (where ${condition}))::int`.as(name)
  const open = db
    .select({
      in_list: tasks.list_id,
      open: sql<number>`count(*)::int`.as('open'),
      overdue: count('overdue', isOverdue),
      today: count('today', isToday),
    })
    .from(tasks)
    .where(and(activeTasksOf(placeholders.user), sql`not ${tasks.completed}`))
    .groupBy(tasks.list_id)
    .as('active')
  const completed = db
    .select({ completed: sql<number>`count(*)::int`.as('completed') })
    .from(tasks)
    .where(and(activeTasksOf(placeholders.user), tasks.completed))
    .as('done')
  const own = db
    .select({
      list: sql<string | null>`${lists.id}`.as('list'),
      place: sql<string>`${lists.position} collate "C"`.as('place'),
    })
    .from(lists)
    .where(eq(lists.user_id, placeholders.user))
    .unionAll(
      db.select({ list: sql<string | null>`null::uuid`, place: sql<string>`''` }).from(sessionRow),
    )
    .as('own')
  const trash = db
    .select({ trash: sql<number>`count(*)::int`.as('trash') })
    .from(tasks)
    .where(trashedTasks)
    .as('trashed')
  return db
    .with(sessionRow)
    .select({
      list: own.list,
      open: open.open,
      overdue: open.overdue,
      today: open.today,
      completed: completed.completed,
      trash: trash.trash,
    })
    .from(sessionRow)
    .innerJoin(own, TRUE)
    .innerJoin(completed, TRUE)
    .innerJoin(trash, TRUE)
    .leftJoin(open, sql`${open.in_list} is not distinct from ${own.list}`)
    .orderBy(asc(own.place))
}

const tagStatement = (db: Db) => {
  const { sessionRow } = createUserScope(db, placeholders)
  const tag = db
    .select({
      name: sql<string>`tag.name`.as('name'),
      count: sql<number>`count(*)::int`.as('count'),
    })
    .from(tasks)
    .innerJoin(sql`lateral unnest(${tasks.tags}) as tag (name)`, TRUE)
    .where(and(activeTasksOf(placeholders.user)))
    .groupBy(sql`tag.name`)
    .orderBy(sql`count(*) desc`, sql`tag.name collate "C"`)
    .limit(tagsMax)
    .as('counted')
  return db.with(sessionRow).select().from(sessionRow).leftJoin(tag, TRUE)
}

/** The counts of a principal; undefined if the session has ended. */
export const createCountRepository = (db: Db) => {
  const counts = prepareStatement(db, () => countStatement(db))
  const tags = prepareStatement(db, () => tagStatement(db))

  return (principal: Principal) => ({
    async counts() {
      const rows = await runRead(() => counts.execute(scopeParameters(principal)))
      const [first] = rows
      if (first === undefined) return undefined
      const sum = (name: 'open' | 'overdue' | 'today') =>
        rows.reduce((total, row) => total + (row[name] ?? 0), 0)
      return {
        open: sum('open'),
        overdue: sum('overdue'),
        today: sum('today'),
        completed: first.completed,
        trash: first.trash,
        lists: rows.map(({ list, open }) => ({ list_id: list, open: open ?? 0 })),
      }
    },

    async tags() {
      const rows = await runRead(() => tags.execute(scopeParameters(principal)))
      // Without a tag there is one row, of nulls.
      const found = rows.flatMap(({ counted }) => (counted?.name ? counted : []))
      return rows.length === 0 ? undefined : found
    },
  })
}

export type CountRepository = ReturnType<typeof createCountRepository>
