import { type SQL, sql } from 'drizzle-orm'
import { getTableConfig, type PgTable } from 'drizzle-orm/pg-core'
import type { Db } from './database.ts'
import { DatabaseUnavailable, runWrite } from './errors.ts'

/** Rows per statement: at first, and the limits of the adaptation. */
const rows = { first: 1000, min: 10, max: 20_000 }
/** How long a statement should take: far below its deadline, and short for requests that wait for its locks. */
const targetMs = 15
/** How many times as long as the last statement it pauses: requests get four fifths of the time. */
const pauseFactor = 4
/** A statement that took longer than its deadline, or that waited for a lock. */
const tooSlow = /^(deadline|57014|55P03)$/

/**
 * Repeats a deletion of at most so many rows, until it deletes fewer, and returns the total. The number of rows adapts to
 * the duration. It pauses between two statements, so that requests do not notice it.
 */
export const inBatches = async (
  deleteSome: (rowsMax: number) => Promise<number>,
  sleep: (ms: number) => Promise<void> = Bun.sleep,
): Promise<number> => {
  let rowsMax = rows.first
  let total = 0
  for (;;) {
    const fromMs = performance.now()
    const deleted = await deleteSome(rowsMax).catch((error) => {
      const isTooSlow = error instanceof DatabaseUnavailable && tooSlow.test(error.code)
      if (!isTooSlow || rowsMax === rows.min) throw error
      return undefined
    })
    const tookMs = performance.now() - fromMs
    total += deleted ?? 0
    if (deleted !== undefined && deleted < rowsMax) return total
    // A statement that was cancelled is tried with a quarter of the rows.
    const factor = deleted === undefined ? 0.25 : Math.min(2, Math.max(0.25, targetMs / tookMs))
    rowsMax = Math.round(Math.min(rows.max, Math.max(rows.min, rowsMax * factor)))
    await sleep(pauseFactor * tookMs)
  }
}

/**
 * Deletes the rows of a table that meet a condition, in batches, and returns how many. Any number of instances may run it
 * at once: one waits for the batch of another, finds its rows gone, and ends. `skip locked` would save the wait, but Citus
 * locks no rows of several nodes.
 */
export const deleteRows = (db: Db, table: PgTable, condition: SQL | undefined): Promise<number> => {
  const [primaryKey] = getTableConfig(table).primaryKeys
  const columns = primaryKey?.columns ?? []
  const key = sql`(${sql.join([...columns], sql`, `)})`
  return inBatches(async (rowsMax) => {
    const some = sql`select ${sql.join([...columns], sql`, `)} from ${table} where ${condition}
      limit ${rowsMax}`
    const gone = db
      .$with('gone', { one: sql<number>`"gone"."one"`.as('one') })
      .as(sql`delete from ${table} where ${key} in (${some}) returning 1 as one`)
    const [row] = await runWrite(() =>
      db.with(gone).select({ count: sql<number>`count(*)::int` }).from(gone),
    )
    return row?.count ?? 0
  })
}
