import { sql } from 'drizzle-orm'
import { type Db, only } from './database.ts'
import { runRead } from './errors.ts'

/** Version (`15.4` and 150004), clock and TLS state of the server. */
export const readServerInfo = async (db: Db) => {
  const rows = await runRead(() =>
    db
      .select({
        version: sql<string>`split_part(current_setting('server_version'), ' ', 1)`,
        number: sql<number>`current_setting('server_version_num')::int`,
        clockMs: sql<number>`(extract(epoch from clock_timestamp()) * 1000)::float8`,
        // Behind a pooler, this is the connection of the pooler.
        tls: sql<boolean | null>`(select ssl from pg_stat_ssl where pid = pg_backend_pid())`,
      })
      .from(sql`(select 1) one`),
  )
  const { version, number, clockMs, tls } = only(rows)
  return { version, number: Number(number), clockMs: Number(clockMs), tls }
}
