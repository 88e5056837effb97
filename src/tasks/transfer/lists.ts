import { type SQL, sql } from 'drizzle-orm'
import type { Db } from '../../db/database.ts'
import { nowParam, param } from '../../db/params.ts'
import { positionAtEndOf } from '../../db/positions.ts'
import { lists } from '../../db/schema.ts'
import { createUserScope, placeholders } from '../../db/user-scope.ts'
import { toNameKey } from '../../lists/name.ts'
import { listsMax } from '../../lists/schema.ts'

/** A list that an import names: the existing one with this key, or a new one. */
export type NamedList = { key: string; name: string; id: string; ord: number }

/** The lists of an import by their keys, in the order in which they are named. */
export const createNamedLists = () => {
  const byKey = new Map<string, NamedList>()
  return {
    /** The key of a name. */
    add: (name: string): string => {
      const key = toNameKey(name)
      if (!byKey.has(key)) {
        const id = Bun.randomUUIDv7()
        byKey.set(key, { key, name, id, ord: byKey.size + 1 })
      }
      return key
    },
    all: () => [...byKey.values()],
  }
}

const isOwn = sql`${lists.user_id} = ${placeholders.user}`

/**
 * CTEs that give each list of the parameter `named` an id, and create those that the user does not have. `has_room` of
 * `room` is false, and nothing is created, if the user would have too many. `unknown` has an id of the parameter `listIds`
 * that the user does not have.
 */
export const namedListCtes = (db: Db, condition: SQL) => {
  const { nextChange } = createUserScope(db, placeholders)
  const absent = db.$with('absent', { key: sql<string>`"absent"."key"`.as('key') }).as(sql`
    select named.key, named.name, named.id, row_number() over (order by named.ord) as nth
    from jsonb_to_recordset(${param('named', 'jsonb')}) as named (key text, name text, id uuid, ord int)
    where not exists (select from ${lists} where ${isOwn} and ${lists.name_key} = named.key)`)
  const free = db.$with('free', { slot: sql<number>`"free"."slot"`.as('slot') }).as(sql`
    select candidate.slot, row_number() over (order by candidate.slot) as nth
    from generate_series(1, ${sql.raw(`${listsMax}`)}) as candidate (slot)
    where exists (select from ${absent})
      and not exists (select from ${lists} where ${isOwn} and ${lists.slot} = candidate.slot)`)
  const unknown = db
    .$with('unknown', { unknown: sql<string>`"unknown"."unknown"`.as('unknown') })
    .as(sql`
    select named.id as unknown from unnest(${param('listIds', 'uuid[]')}) as named (id)
    where not exists (select from ${lists} where ${isOwn} and ${lists.id} = named.id) limit 1`)
  const room = db
    .$with('room', { has_room: sql<boolean>`"room"."has_room"`.as('has_room') })
    .as(sql`
    select (select count(*) from ${absent}) <= (select count(*) from ${free}) as has_room`)
  const proceeds = sql`(select has_room from ${room}) and not exists (select from ${unknown}) and ${condition}`
  const row = sql`select ${nextChange.user_id}, absent.id, absent.name, absent.key, free.slot,
    ${positionAtEndOf(sql`${nextChange.change}`, sql`absent.nth`)}, 1, ${nowParam}, ${nowParam}, ${nextChange.change}
    from ${absent} inner join ${free} on free.nth = absent.nth, ${nextChange} where ${proceeds}`
  const madeLists = db
    .$with('made_lists')
    .as(db.insert(lists).select(row).returning({ id: lists.id, name_key: lists.name_key }))
  /** The id of each named list, by its key. */
  const listOfKey = sql`(
    select ${lists.name_key} as key, ${lists.id} as id from ${lists} where ${isOwn}
    union select "made_lists"."name_key", "made_lists"."id" from ${madeLists}) as list_of_key`
  return { absent, free, unknown, room, madeLists, proceeds, listOfKey }
}
