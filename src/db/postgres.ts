import { drizzle } from 'drizzle-orm/postgres-js'
import postgres, { type Sql } from 'postgres'
import type { Database, StatementObserver } from './database.ts'
import { DatabaseUnavailable, runRead, toDatabaseError } from './errors.ts'
import { applyMigrations, readMigrationStatus, type SendInTransaction } from './migrations.ts'
import { parseConnectionUrl } from './pool/connection-url.ts'
import { copyParsers, createParserModel, sendStatement } from './pool/driver.ts'
import { createPool } from './pool/pool.ts'
import { currentTimeBudget } from './pool/time-budget.ts'

export type PostgresSettings = {
  kind: 'postgres'
  url: string
  migrationUrl: string
  poolMax: number
  /** The deadline of a statement: waiting for a connection, connecting and running. */
  timeoutMs: number
  /** Named prepared statements; with `auto`, not through a pooler that is not known to support them. */
  prepare: 'auto' | boolean
}

/** The limits of a migration, which may build an index. */
const migrationConnectSeconds = 10
const migrationMinutesMax = 15

/** Opens a pool to PostgreSQL; nothing is connected yet. */
export const openPostgres = (settings: PostgresSettings, observe?: StatementObserver): Database => {
  const { url, poolMax: max, timeoutMs, prepare } = settings
  const model = createParserModel()
  const configure = (sql: Sql) => copyParsers(model, sql)
  const pool = createPool({ target: parseConnectionUrl(url), max, timeoutMs, prepare, configure })

  /** For Drizzle: returns a promise of objects, and `values()` makes it one of arrays. */
  const unsafe = (text: string, params: unknown[] = [], options: Prepare = {}) => {
    let asArrays = false
    const budget = currentTimeBudget(timeoutMs)
    // Sent a microtask later, when the caller has called `values()` or not.
    const rows = Promise.resolve().then(() =>
      pool.run(
        (sql) => {
          const query = sendStatement(sql, text, params, options)
          return asArrays ? query.values() : query
        },
        { budget },
      ),
    )
    const values = () => {
      asArrays = true
      return rows
    }
    return Object.assign(rows, { values })
  }
  const begin = () => {
    throw new Error('one statement per request: the pool has no transactions')
  }
  const arrays = (text: string, values: unknown[], isQuickRead = false): Promise<unknown[][]> => {
    observe?.(text, values)
    const quickRead = isQuickRead ? text : undefined
    return pool.run((sql) => sendStatement(sql, text, values, { prepare: true }).values(), {
      quickRead,
    })
  }
  const client = Object.assign(model, { unsafe, begin, arrays })
  const logger = observe && { logQuery: observe }
  const db = drizzle(client, { casing: 'snake_case', ...(logger && { logger }) })

  return {
    db,
    kind: 'postgres',
    pool: pool.state,
    ping: async () => {
      await runRead(() => pool.run((sql) => sql.unsafe('select 1')))
    },
    migrate: () => migrate(settings.migrationUrl),
    migrationStatus: () =>
      runRead(() => readMigrationStatus((text) => pool.run((sql) => sql.unsafe<Row[]>(text)))),
    close: () => pool.close(),
  }
}

type Row = Record<string, unknown>
type Prepare = { prepare?: boolean | undefined }

/** With a connection of its own and the default options of postgres.js: its transactions need pipelining. */
const connectForTransaction = (url: string) => {
  const { options, parameters } = parseConnectionUrl(url)
  return postgres({
    ...options,
    max: 1,
    fetch_types: false,
    connect_timeout: migrationConnectSeconds,
    connection: { application_name: 'taskwarden migration', ...parameters },
    onnotice: () => {},
  })
}

/** Runs work of any duration in one transaction. */
export const inOneTransaction = async <Result>(
  url: string,
  work: (send: SendInTransaction) => Promise<Result>,
): Promise<Result> => {
  const sql = connectForTransaction(url)
  try {
    const done = sql.begin((tx) => work((text, params) => tx.unsafe<Row[]>(text, params)))
    return (await done) as Result
  } catch (error) {
    throw toDatabaseError(error)
  } finally {
    await sql.end({ timeout: 1 })
  }
}

const migrate = async (url: string) => {
  const sql = connectForTransaction(url)
  const late = Promise.withResolvers<never>()
  const timer = setTimeout(
    () => late.reject(new DatabaseUnavailable('deadline')),
    migrationMinutesMax * 60_000,
  )
  try {
    const applied = sql.begin((tx) =>
      applyMigrations((text, params) => tx.unsafe<Row[]>(text, params)),
    )
    return await Promise.race([applied, late.promise])
  } catch (error) {
    throw toDatabaseError(error)
  } finally {
    clearTimeout(timer)
    await sql.end({ timeout: 1 })
  }
}
