import { and, asc, gt, sql } from 'drizzle-orm'
import { type Caller, whoOf } from '../auth/caller.ts'
import type { Db } from '../db/client.ts'
import { reading, writing } from '../db/faults.ts'
import { always, anyone, partsOf } from '../db/live.ts'
import { patiently } from '../db/patience.ts'
import { prepared } from '../db/prepared.ts'
import { tasks } from '../db/schema.ts'
import { declared, drafted, newRow, recordOf } from './fields.ts'
import type { NewTask, Task } from './model.ts'
import { type InFlight, type KeptAnswer, type Once, onceParts, orAgain } from './once.ts'

import { given, mineLive, shown } from './statements.ts'

/** A record as the statement takes it: what it does not say of the task is at its default. */
export type ImportedRow = NewTask & Pick<Task, 'id' | 'completed' | 'completed_at' | 'created_at'>
export type Imported = { count: number } | { kept: KeptAnswer } | InFlight

const exportingOf = (db: Db) => {
  const { live } = partsOf(db, anyone)
  const task = db
    .select(shown)
    .from(tasks)
    .where(and(mineLive, gt(tasks.id, sql.placeholder('last'))))
    .orderBy(asc(tasks.id))
    .limit(sql.placeholder('rows'))
    .as('task')
  return prepared(db, db.with(live).select().from(live).leftJoinLateral(task, always))
}

/** All rows by one statement: all of them, or none. */
const importingOf = (db: Db) => {
  const { live, numbered } = partsOf(db, anyone)
  const { earlier, expired, keep, isFirst } = onceParts(db)
  const rows = sql`jsonb_to_recordset(${given('records', 'jsonb')}) as record (
    id uuid, ${declared}, completed boolean, completed_at timestamptz, created_at timestamptz)`
  const row = newRow(numbered, {
    id: sql`record.id`,
    ...drafted(recordOf('record')),
    completed: sql`record.completed`,
    completed_at: sql`record.completed_at`,
    created_at: sql`record.created_at`,
  })
  const drafts = sql`select ${row} from ${rows}, ${numbered}`
  const inserting = (condition = sql`true`) =>
    db
      .$with('imported')
      .as(db.insert(tasks).select(sql`${drafts} where ${condition}`).returning({ id: tasks.id }))
  const countOf = (imported: ReturnType<typeof inserting>) =>
    db
      .$with('counted')
      .as(db.select({ count: sql<number>`count(*)::int`.as('count') }).from(imported))

  const imported = inserting()
  const counted = countOf(imported)
  const importedOnce = inserting(isFirst)
  const countedOnce = countOf(importedOnce)
  const body = sql`json_build_object('imported', ${countedOnce.count})`
  const kept = keep(
    body,
    sql`null`,
    sql`(select * from ${countedOnce} where ${isFirst}) as counted`,
  )

  return {
    plain: prepared(
      db,
      db.with(live, numbered, imported, counted).select().from(live).innerJoin(counted, always),
    ),
    keyed: prepared(
      db,
      db
        .with(live, numbered, earlier, expired, importedOnce, countedOnce, kept)
        .select()
        .from(live)
        .innerJoin(countedOnce, always)
        .leftJoin(earlier, always),
    ),
  }
}

/** What goes out and comes in of whoever asks; nothing where their session has ended. */
export const transferRepository = (db: Db) => {
  const exporting = exportingOf(db)
  const importing = importingOf(db)

  return (caller: Caller) => {
    const bound = () => whoOf(caller)
    return {
      /** In the order of ids, from behind one. */
      async page(rows: number, last = '00000000-0000-0000-0000-000000000000') {
        const found = await reading(() => exporting.execute({ ...bound(), rows, last }))
        return found.length === 0 ? undefined : found.flatMap(({ task }) => task ?? [])
      },

      add(rows: ImportedRow[], once?: Once): Promise<Imported | undefined> {
        const records = JSON.stringify(rows)
        return orAgain(async () => {
          if (!once) {
            const [found] = await patiently(() =>
              writing(() => importing.plain.execute({ ...bound(), records })),
            )
            return found?.counted
          }
          const values = { ...bound(), ...once, records }
          const [found] = await patiently(() => writing(() => importing.keyed.execute(values)))
          return found?.earlier ? { kept: found.earlier } : found?.counted
        })
      },
    }
  }
}

export type TransfersOf = ReturnType<typeof transferRepository>
