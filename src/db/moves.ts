import { type SQL, sql } from 'drizzle-orm'
import type { Db } from './database.ts'
import { param } from './params.ts'
import { positionAtEnd, positionAtStart, positionAtStartOf, positionBetween } from './positions.ts'

/** The table of an ordered resource. Its statement has the CTEs `target` and `anchor`, which `moveCtes` reads. */
export type Ordered = {
  table: SQL
  id: SQL
  position: SQL
  /** The rows of the order into which the row moves. */
  isInOrder: SQL
}

/** The parameters of a move: the neighbour, or null for the end; and whether the row goes after it. */
export const moveParameters = (
  anchor: { id: string; side: 'before' | 'after' } | undefined,
): { anchor: string | null; isAfter: boolean } => ({
  anchor: anchor?.id ?? null,
  isAfter: anchor?.side === 'after',
})
export const anchorParam = param('anchor', 'uuid')
const isAfter = param('isAfter', 'boolean')

const target = (column: string) => sql.raw(`"target"."${column}"`)
const anchorPosition = sql`(select "anchor"."position" from "anchor")`
const targetId = sql`(select ${target('id')} from "target")`

/**
 * CTEs that give each row that a move writes its position.
 *
 * `target` has the row that moves (`id`, `change`), or no row if it must not move. `anchor` has the `id` and the `position`
 * of the neighbour, read under its lock; it is empty for a move to the end. The nearest row (or the one that moves) is read from
 * the snapshot, and may have moved since. The result is still on the right side of the anchor, and equal to no other position.
 *
 * `placed` has the row that moves, and all others of its order if there is no room between the neighbours.
 */
export const moveCtes = (db: Db, { table, id, position, isInOrder }: Ordered) => {
  const nearest = (is: '<' | '>', order: 'asc' | 'desc') => sql`(select ${position} from ${table}
    where ${isInOrder} and ${position} collate "C" ${sql.raw(is)} ${anchorPosition}
    order by ${position} collate "C" ${sql.raw(order)} limit 1)`
  const [low, high] = [sql.raw('near.anchor'), sql.raw('near.neighbour')]
  const change = target('change')

  const placing = db.$with('placing', { id: sql<string>`"placing"."id"`.as('id') }).as(sql`
    select ${target('id')}, ${change}, case
      when near.anchor is null then ${positionAtEnd(change)}
      when near.neighbour is null and ${isAfter} then ${positionAtEnd(change)}
      when near.neighbour is null then ${positionAtStart(change)}
      when ${isAfter} then ${positionBetween(low, high, change)}
      else ${positionBetween(high, low, change)} end as "position"
    from "target", lateral (select ${anchorPosition} as anchor, case
      when ${isAfter} then ${nearest('>', 'asc')} else ${nearest('<', 'desc')} end as neighbour) as near`)

  // Rarely: without a position, all rows of the order are numbered again. The condition is evaluated once, before the scan.
  const isCrowded = sql`(select "placing"."position" is null from "placing")`
  const ranked = db.$with('ranked', { id: sql<string>`"ranked"."id"`.as('id') }).as(sql`
    select one.id, row_number() over (order by one.at collate "C", one.tie, one.side) as ord from (
      select ${id} as id, ${position} as at, ${id} as tie, 1 as side from ${table}
      where ${isInOrder} and ${id} <> ${targetId} and ${isCrowded}
      union all
      select "placing"."id", "anchor"."position", "anchor"."id", case when ${isAfter} then 2 else 0 end
      from "placing", "anchor" where "placing"."position" is null) as one`)
  const placed = db
    .$with('placed', {
      id: sql<string>`"placed"."id"`.as('id'),
      place: sql<string>`"placed"."place"`.as('place'),
      number: sql<number>`"placed"."number"`.as('number'),
    })
    .as(sql`
      select "placing"."id", "placing"."position" as place, "placing"."change" as number from "placing"
      where "placing"."position" is not null
      union all
      select "ranked"."id", ${positionAtStartOf(sql.raw('"placing"."change"'), sql.raw('"ranked"."ord"'))},
        "placing"."change" from "ranked", "placing"`)
  return { placing, ranked, placed }
}

/** Finds the rows of `placed` by their primary key; the planner does not know that they are few. */
export const isPlaced = (id: SQL): SQL =>
  sql`${id} = any(array(select "placed"."id" from "placed")) and ${id} = "placed"."id"`
