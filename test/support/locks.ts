import postgres from 'postgres'

/** Past a pooler, which knows nothing of the statements that these transactions prepare. */
export const serverUrl = process.env.TEST_DIRECT_DATABASE_URL ?? process.env.TEST_DATABASE_URL

/** Transactions of a test, on PostgreSQL: what overlaps is made to, by statements that wait for a lock. */
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
    /** Waits for the user's lock, and holds it until the transaction ends. */
    lock: (sql: postgres.Sql, userId: string) =>
      sql`select from user_changes where user_id = ${userId} for update`.execute(),
    /**
     * Until so many wait for a lock, or `work` is done without. Asks from outside of any transaction:
     * inside, the server's view of its sessions stands still.
     */
    waiting: async (count: number, work: Promise<unknown>) => {
      const sql = connection()
      let isDone = false
      const done = () => {
        isDone = true
      }
      work.then(done, done)
      for (let found = 0; found < count && !isDone; )
        found = (
          await sql`select from pg_stat_activity
            where datname = current_database() and wait_event_type = 'Lock'`
        ).length
    },
  }
}
