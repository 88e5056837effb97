import { and, eq, type SQL, sql } from 'drizzle-orm'
import { unionAll } from 'drizzle-orm/pg-core'
import type { Db } from '../db/client.ts'
import { always, anyone, partsOf } from '../db/live.ts'
import { tasks } from '../db/schema.ts'
import { declared, drafted, merged, newRow, recordOf } from './fields.ts'
import { onceParts } from './once.ts'
import { asJson, at, completing, given, isLive, shown } from './statements.ts'

/** Members are those of `Wanted`; what a merge patch leaves out is told from null by `sets`. */
const wantedRows = sql`select * from jsonb_to_recordset(${given('wanted', 'jsonb')}) as wanted (
  ord int, kind text, id uuid, version int, ${declared}, completed boolean, sets text[])`
const createdRows = sql`jsonb_to_recordset(${given('created', 'jsonb')}) as draft (
  id uuid, ${declared})`

/**
 * By the primary key: of how many rows `wanted` has the planner knows nothing, and it would rather
 * read all that the user has (99 002 rows for a batch of three).
 */
const isWanted = sql`${tasks.id} = any(${given('ids', 'uuid[]')})`

const w = (name: string) => sql.raw(`"wanted"."${name}"`)
const becoming = sql`case ${w('kind')}
  when 'update' then coalesce(${w('completed')}, ${tasks.completed})
  when 'complete' then coalesce(${w('completed')}, not ${tasks.completed})
  else ${tasks.completed} end`

/**
 * One statement, in which every change depends on all of them being possible: what is
 * wanted meets the rows as they are, locked; if one is missing or of another version,
 * `going` has no row, and nothing is done at all.
 */
const guardsOf = (db: Db, isFirst: SQL | undefined) => {
  const { live, numbered } = partsOf(db, anyone)
  const wanted = db.$with('wanted', { ord: sql<number>`"wanted"."ord"`.as('ord') }).as(wantedRows)
  const current = db.$with('current').as(
    db
      .select({ id: tasks.id, version: tasks.version })
      .from(tasks)
      .innerJoin(numbered, always)
      .where(and(eq(tasks.user_id, anyone.user), isLive, isWanted))
      .for('update', { of: tasks }),
  )
  const refused = db.$with('refused').as(
    db
      .select({
        ord: sql<number>`${w('ord')}`.as('ord'),
        version: sql<number | null>`${current.version}`.as('found'),
      })
      .from(wanted)
      .leftJoin(current, sql`${w('id')} = ${current.id}`)
      .where(sql`${current.id} is null or ${w('version')} <> ${current.version}`)
      .orderBy(w('ord'))
      .limit(1),
  )
  const going = db.$with('going').as(
    db
      .select({ user_id: numbered.user_id, change: numbered.change })
      .from(numbered)
      .where(and(sql`not exists (select from ${refused})`, isFirst)),
  )
  return { live, numbered, wanted, current, refused, going }
}

type Guards = ReturnType<typeof guardsOf>

/** And what it comes to, where nothing is refused: every task that was written. */
const effectsOf = (db: Db, { wanted, going }: Guards) => {
  const row = newRow(going, { id: sql`draft.id`, ...drafted(recordOf('draft')) })
  const rows = sql`select ${row} from ${createdRows}, ${going}`
  const created = db.$with('created').as(db.insert(tasks).select(rows).returning(shown))
  const changed = db.$with('changed').as(
    db
      .update(tasks)
      .set({
        ...merged(recordOf('wanted'), w('sets')),
        ...completing(becoming),
        deleted_at: sql`case when ${w('kind')} = 'delete' then ${at} end`,
        version: sql`${tasks.version} + 1`,
        updated_at: at,
        change: sql`${going.change}`,
      })
      .from(wanted)
      .innerJoin(going, always)
      .where(and(eq(tasks.user_id, anyone.user), isWanted, sql`${tasks.id} = ${w('id')}`))
      .returning(shown),
  )
  const task = unionAll(db.select().from(created), db.select().from(changed)).as('task')
  return { created, changed, task }
}

const partsOfBatch = (db: Db, isFirst?: SQL) => {
  const guards = guardsOf(db, isFirst)
  return { ...guards, ...effectsOf(db, guards) }
}

/** Answers every task that was written, or the first operation that is refused. */
export const batching = (db: Db) => {
  const parts = partsOfBatch(db)
  const { live, numbered, wanted, current, refused, going, created, changed, task } = parts
  return db
    .with(live, numbered, wanted, current, refused, going, created, changed)
    .select()
    .from(live)
    .leftJoin(refused, always)
    .leftJoin(task, always)
}

/** The same, once for each `Idempotency-Key`. */
export const batchingOnce = (db: Db) => {
  const { earlier, expired, keep, isFirst } = onceParts(db)
  const parts = partsOfBatch(db, isFirst)
  const { live, numbered, wanted, current, refused, going, created, changed, task } = parts
  const done = db.$with('done').as(
    db
      .select({ body: sql`json_agg(${asJson(task)})`.as('body') })
      .from(task)
      .having(sql`count(*) > 0`),
  )
  const kept = keep(sql`body`, sql`null`, sql`${done}`)
  return db
    .with(
      live,
      numbered,
      earlier,
      expired,
      wanted,
      current,
      refused,
      going,
      created,
      changed,
      done,
      kept,
    )
    .select()
    .from(live)
    .leftJoin(earlier, always)
    .leftJoin(refused, always)
    .leftJoin(task, always)
}
