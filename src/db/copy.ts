import { sql } from 'drizzle-orm'
import { getTableConfig, type PgTable } from 'drizzle-orm/pg-core'
import type { Db } from './database.ts'
import type { SendInTransaction } from './migrations.ts'
import {
  idempotencyKeys,
  identities,
  lists,
  listTombstones,
  mailLinks,
  mailMessages,
  reminderEvents,
  sessions,
  tasks,
  taskTombstones,
  usedStreamTickets,
  userChanges,
  users,
  webhooks,
} from './schema.ts'

/** Each after the tables that it refers to. The counts of limits are not copied: they start again. */
const copiedTables = [
  ...[users, identities, userChanges, sessions, lists, listTombstones, tasks, taskTombstones],
  ...[idempotencyKeys, mailLinks, mailMessages, usedStreamTickets, reminderEvents, webhooks],
]
const rowsPerStatement = 500

/** The rows of a table, and how many there are. */
export type Copied = { table: string; rows: number }
type Digest = Copied & { digest: string }

/** The copy differs from its source, which no known cause explains. */
class CopyDiffers extends Error {
  override readonly name = 'CopyDiffers'
}

/**
 * Copies all rows of a database into the empty tables of another one with the same migrations, in a transaction of the caller. At the
 * end, the rows of both are counted and compared; a difference is an error.
 */
export const copyRows = async (from: Db, into: SendInTransaction): Promise<Copied[]> => {
  const readFrom: SendInTransaction = async (text, params = []) => {
    const [head = '', ...parts] = text.split(/\$\d+/)
    const query = parts.reduce(
      (all, part, at) => sql`${all}${params[at]}${sql.raw(part)}`,
      sql.raw(head),
    )
    const { rows } = (await from.execute(query)) as { rows: Record<string, unknown>[] }
    return rows
  }
  await into(`set local time zone 'UTC'`)
  const copied: Copied[] = []
  for (const table of copiedTables) {
    const { name, key } = namesOf(table)
    for await (const rows of pagesOf(readFrom, name, key))
      await into(
        `insert into "${name}" select * from jsonb_populate_recordset(null::"${name}", $1::text::jsonb)`,
        [`[${rows.join(',')}]`],
      )
    const [source, copy] = [await digestOf(readFrom, name), await digestOf(into, name)]
    if (source.digest !== copy.digest || source.rows !== copy.rows)
      throw new CopyDiffers(
        copy.rows === source.rows
          ? `the rows of ${name} differ from those of the source`
          : `${name} has ${copy.rows} rows instead of ${source.rows}`,
      )
    copied.push({ table: name, rows: copy.rows })
  }
  return copied
}

const namesOf = (table: PgTable) => {
  const { name, columns, primaryKeys } = getTableConfig(table)
  const key = primaryKeys[0]?.columns ?? columns.filter((column) => column.primary)
  return { name, key: key.map((column) => `"${column.name}"`) }
}

/** The rows as JSON texts, page by page in the order of the primary key. */
async function* pagesOf(send: SendInTransaction, table: string, key: string[]) {
  const order = key.map((column) => `one.${column}`).join(', ')
  for (let last: string | undefined; ; ) {
    const after = `where (${order}) > (select ${key.join(', ')} from jsonb_populate_record(null::"${table}", $1::text::jsonb))`
    const rows = await send(
      `select to_jsonb(one)::text as row from "${table}" as one ${last === undefined ? '' : after}
       order by ${order} limit ${rowsPerStatement}`,
      last === undefined ? [] : [last],
    )
    if (rows.length === 0) return
    const texts = rows.map(({ row }) => String(row))
    yield texts
    last = texts.at(-1)
  }
}

/** The same for the same rows in any order, on any version of PostgreSQL. */
const digestOf = async (send: SendInTransaction, table: string): Promise<Digest> => {
  const [row] = await send(`
    select count(*)::int as rows, encode(sha256(coalesce(string_agg(digest, '' order by digest), '')), 'hex') as digest
    from (select sha256(convert_to(to_jsonb(one)::text, 'UTF8')) as digest from "${table}" as one) as digests`)
  return { table, rows: Number(row?.rows), digest: String(row?.digest) }
}
