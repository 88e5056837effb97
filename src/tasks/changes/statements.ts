import { and, eq, gt, sql } from 'drizzle-orm'
import type { Db } from '../../db/database.ts'
import { param } from '../../db/params.ts'
import { sessions, userChanges } from '../../db/schema.ts'
import { createUserScope, placeholders, TRUE } from '../../db/user-scope.ts'
import {
  rows,
  selectDeletedLists,
  selectErased,
  selectLists,
  selectReminders,
  selectTasks,
} from './sources.ts'

/** After every id with the same number. */
export const lastId = 'ffffffff-ffff-ffff-ffff-ffffffffffff'
/** What a reader of changes wants besides tasks. */
export type Kinds = { lists: boolean; reminders: boolean }

/**
 * One row for each task, tombstone, list or reminder after a position, and the number of the last change.
 *
 * The writing statement takes its number from the user's row in `user_changes` and holds the lock until it commits. So
 * a number becomes visible only after all smaller ones, and no uncommitted change is skipped. (The order of a sequence
 * would differ from the order of commits.)
 */
const selectChanges = (db: Db, { lists: withLists, reminders: withReminders }: Kinds) => {
  const current = selectTasks(db)
  const erased = selectErased(db)
  const listed = selectLists(db)
  const unlisted = selectDeletedLists(db)
  const reminded = selectReminders(db)
  const others = [
    ...(withLists
      ? ([
          ['listed', listed],
          ['unlisted', unlisted],
        ] as const)
      : []),
    ...(withReminders ? ([['reminder', reminded]] as const) : []),
  ]
  const fields = {
    ...current._.selectedFields,
    ...erased._.selectedFields,
    ...(withLists && { ...listed._.selectedFields, ...unlisted._.selectedFields }),
    ...(withReminders && reminded._.selectedFields),
  }
  let joined = db
    .select(fields)
    .from(current)
    .fullJoin(erased, eq(current.id, erased.erased_id))
    .$dynamic()
  const ids = ['id', 'erased_id']
  // All ids differ, so that a full join contains all rows.
  for (const [name, source] of others) {
    const isSame = sql.raw(`coalesce(${ids.join(', ')}) = ${name}_id`)
    joined = joined.fullJoin(source, isSame) as typeof joined
    ids.push(`${name}_id`)
  }
  const numbers = ids.map((id) => id.replace(/id$/, 'change'))
  return joined
    .orderBy(sql.raw(`coalesce(${numbers.join(', ')})`), sql.raw(`coalesce(${ids.join(', ')})`))
    .limit(rows)
    .as('row')
}

const headOf = (db: Db) =>
  db
    .select({ last: userChanges.last })
    .from(userChanges)
    .where(eq(userChanges.user_id, placeholders.user))
    .as('head')

/** For one session; without a row if it has ended. */
export const changesStatement = (db: Db, kinds: Kinds) => {
  const { sessionRow } = createUserScope(db, placeholders)
  const head = headOf(db)
  const either = selectChanges(db, kinds)
  return db
    .with(sessionRow)
    .select({ head: head.last, ...either._.selectedFields })
    .from(sessionRow)
    .innerJoin(head, TRUE)
    .leftJoinLateral(either, TRUE)
}

/** For several sessions of the user at once, or none: one row at least, with the sessions that are live. */
export const sharedChangesStatement = (db: Db, kinds: Kinds) => {
  const head = headOf(db)
  const either = selectChanges(db, kinds)
  const live = db
    .select({ live: sql<string | null>`string_agg(${sessions.id}::text, ',')`.as('live') })
    .from(sessions)
    .where(
      and(
        eq(sessions.user_id, placeholders.user),
        sql`${sessions.id} = any(${param('sessions', 'uuid[]')})`,
        gt(sessions.expires_at, placeholders.now),
      ),
    )
    .as('session')
  return db
    .select({ live: live.live, head: head.last, ...either._.selectedFields })
    .from(live)
    .leftJoin(head, TRUE)
    .leftJoinLateral(either, TRUE)
}
