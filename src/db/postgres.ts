import { drizzle } from 'drizzle-orm/postgres-js'
import postgres, { type ParameterOrJSON, type Sql } from 'postgres'
import { addressOf } from './address.ts'
import type { Database, StatementObserver } from './client.ts'
import { DatabaseUnavailable, runRead, toDatabaseError } from './faults.ts'
import { applyMigrations, readMigrationStatus } from './migrations.ts'
import { allowance } from './patience.ts'
import { poolOf } from './pool.ts'

export type PostgresSettings = {
  kind: 'postgres'
  url: string
  migrationUrl: string
  poolMax: number
  /** For one statement: waiting for a connection, connecting and running. */
  timeoutMs: number
  /** Named prepared statements; `auto`: not through a pooler, unless it is known to keep track of them. */
  prepare: 'auto' | boolean
}

/** Longest connect, and longest run, of a migration: it must end, and may build an index. */
const migrationConnectSeconds = 10
const migrationMinutesMax = 15

/** `simple`: without parameters postgres.js would take the simple protocol, which cannot prepare. */
const extended = { simple: false }
const prepared = { ...extended, prepare: true }

/** PostgreSQL by our own pool of postgres.js connections; nothing is connected yet. */
export const openPostgres = (settings: PostgresSettings, observe?: StatementObserver): Database => {
  const { url, poolMax: max, timeoutMs, prepare } = settings
  // Never connects: Drizzle writes its parsers into it, and they are copied from there.
  const model = postgres({ max: 1 })
  const dress = ({ options }: Sql) => {
    Object.assign(options.parsers, model.options.parsers)
    Object.assign(options.serializers, model.options.serializers)
  }
  const pool = poolOf({ address: addressOf(url), max, timeoutMs, prepare, dress })

  const unsafe = (text: string, params: ParameterOrJSON<never>[] = [], options: Prepare = {}) => {
    let inArrays = false
    const allowed = allowance(timeoutMs)
    // Sent a microtask later, when the caller has said whether it wants arrays.
    const rows = Promise.resolve().then(() =>
      pool.run(
        (sql) => {
          const query = sql.unsafe(text, params, { ...options, ...extended })
          return inArrays ? query.values() : query
        },
        { allowed },
      ),
    )
    const values = () => {
      inArrays = true
      return rows
    }
    return Object.assign(rows, { values })
  }
  const begin = () => {
    throw new Error('one statement a request: there are no transactions on the pool')
  }
  const arrays = (text: string, values: unknown[], isQuickRead = false): Promise<unknown[][]> => {
    observe?.(text, values)
    const given = values as ParameterOrJSON<never>[]
    const quickRead = isQuickRead ? text : undefined
    return pool.run((sql) => sql.unsafe(text, given, prepared).values(), { quickRead })
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

/** On a connection of its own with pipelining, without which postgres.js has no transactions. */
const migrate = async (url: string) => {
  const { options, parameters } = addressOf(url)
  const sql = postgres({
    ...options,
    max: 1,
    fetch_types: false,
    connect_timeout: migrationConnectSeconds,
    connection: { application_name: 'taskwarden migration', ...parameters },
    onnotice: () => {},
  })
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
