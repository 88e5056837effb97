import { and, asc, eq, sql } from 'drizzle-orm'
import type { Db } from '../../db/database.ts'
import { runRead } from '../../db/errors.ts'
import { prepareStatement } from '../../db/prepared-statement.ts'
import { inboxId, listOf, lists, tasks } from '../../db/schema.ts'
import {
  createUserScope,
  type Principal,
  placeholders,
  scopeParameters,
  TRUE,
} from '../../db/user-scope.ts'
import { daysOf, isDueBetween, isOverdue } from '../listing/days.ts'
import { activeTasksOf, trashedTasks } from '../task/sql.ts'
import { tagsMax } from './schema.ts'

const ofList = sql<string>`${listOf(tasks)}`

/** One row for the inbox and for each list, with the counts of its tasks, and the count of the trash. */
const countStatement = (db: Db) => {
  const { sessionRow } = createUserScope(db, placeholders)
  const days = daysOf(placeholders)
  const isOpen = sql`not ${tasks.completed}`
  const active = db
    .select({
      in_list: ofList.as('in_list'),
      open: sql<number>`(count(*) filter (where ${isOpen}))::int`.as('open'),
      overdue: sql<number>`(count(*) filter (where ${isOverdue(days)}))::int`.as('overdue'),
      today:
        sql<number>`(count(*) filter (where ${isOpen} and ${isDueBetween(days, 0, 1)}))::int`.as(
          'today',
        ),
      completed: sql<number>`(count(*) filter (where ${tasks.completed}))::int`.as('completed'),
    })
    .from(tasks)
    .where(activeTasksOf(placeholders.user))
    .groupBy(ofList)
    .as('active')
  const own = db
    .select({
      list: sql<string>`${lists.id}::text`.as('list'),
      place: sql<string>`${lists.position} collate "C"`.as('place'),
    })
    .from(lists)
    .where(eq(lists.user_id, placeholders.user))
    .unionAll(
      db
        .select({ list: sql<string>`${sql.raw(`'${inboxId}'`)}`, place: sql<string>`''` })
        .from(sessionRow),
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
      open: active.open,
      overdue: active.overdue,
      today: active.today,
      completed: active.completed,
      trash: trash.trash,
    })
    .from(sessionRow)
    .innerJoin(own, TRUE)
    .innerJoin(trash, TRUE)
    .leftJoin(active, sql`${active.in_list}::text = ${own.list}`)
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
      const sum = (name: 'open' | 'overdue' | 'today' | 'completed') =>
        rows.reduce((total, row) => total + (row[name] ?? 0), 0)
      return {
        open: sum('open'),
        overdue: sum('overdue'),
        today: sum('today'),
        completed: sum('completed'),
        trash: first.trash,
        lists: rows.map(({ list, open }) => ({
          list_id: list === inboxId ? null : list,
          open: open ?? 0,
        })),
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
