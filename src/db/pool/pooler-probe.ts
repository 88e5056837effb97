import { openConnection } from './connection.ts'
import { sendStatement } from './driver.ts'

/** PgBouncer renames named statements if it keeps them for each client (`max_prepared_statements`, from 1.21 on). */
const namedByPooler = /^PGBOUNCER_/
/** Finds itself among the statements of the server connection, under the name that the server knows. */
const ownName = `select name from pg_prepared_statements where statement like 'select name from pg_prepared_statements%'
  order by prepare_time desc limit 1`

/**
 * Whether a transaction pooler supports named prepared statements: it does if it gives them names of its own. Any other
 * pooler might run the second use of a statement on a server connection that does not know its name.
 */
export const supportsPreparing = async (
  opening: Omit<Parameters<typeof openConnection>[0], 'prepare'>,
): Promise<boolean> => {
  const connection = openConnection({ ...opening, prepare: true })
  // Its statement ends then, with an error.
  const timer = setTimeout(connection.destroy, opening.timeoutMs)
  try {
    const [row] = await sendStatement(connection.sql, ownName, [], { prepare: true })
    return namedByPooler.test(String(row?.name))
  } finally {
    clearTimeout(timer)
    connection.destroy()
  }
}
