import postgres from 'postgres'

/** A direct connection: a pooler does not know the statements that these transactions prepare. */
export const serverUrl = process.env.TEST_DIRECT_DATABASE_URL ?? process.env.TEST_DATABASE_URL

/** Transactions on PostgreSQL that hold locks, so that statements of the service overlap in a defined order. */
export const locks = () => {
  const connections: postgres.Sql[] = []
  const connection = () => {
    const sql = postgres(serverUrl!, { max: 1, onnotice: () => {} })
    connections.push(sql)
    return sql
  }

  return {
    end: () => Promise.all(connections.map((sql) => sql.end())),
    transaction: async () => {
      const sql = connection()
      await sql.unsafe('begin')
      return sql
    },
    /** Takes the user's lock, and holds it until the transaction ends. */
    lock: (sql: postgres.Sql, userId: string) =>
      sql`select from user_changes where user_id = ${userId} for update`.execute(),
    /**
     * Resolves when `count` statements wait for a lock, or when `work` settles. It asks outside of a transaction, because
     * inside one the view of the sessions does not change.
     */
    waiting: async (count: number, work: Promise<unknown>) => {
      const sql = connection()
      let isDone = false
      const done = () => {
        isDone = true
      }
      work.then(done, done)
      // On Citus, statements wait on the nodes of their rows.
      const [citus] = await sql`select to_regclass('citus_lock_waits') as view`
      const waits = citus?.view
        ? sql`select distinct waiting_gpid from citus_lock_waits`
        : sql`select from pg_stat_activity
            where datname = current_database() and wait_event_type = 'Lock'`
      for (let found = 0; found < count && !isDone; ) found = (await sql`${waits}`).length
    },
  }
}
