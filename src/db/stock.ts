import postgres, { type Sql } from 'postgres'
import type { Address } from './address.ts'
import { type Connection, openConnection, paceOf } from './connection.ts'

export type StockSettings = {
  address: Address
  timeoutMs: number
  prepare: 'auto' | boolean
  /** Makes a new connection's postgres.js read and write values as Drizzle wants them. */
  dress: (sql: Sql) => void
}

/** The connections that are free, and new ones. */
export const stockOf = (settings: StockSettings) => {
  const { address, prepare, dress } = settings
  const idle: Connection[] = []
  const pace = paceOf()
  let { pooled } = address

  const open = (timeoutMs: number) => {
    // A pooler refuses `statement_timeout` as a startup parameter (08P01); the zone it does pass on.
    const parameters = {
      application_name: 'taskwarden',
      ...address.parameters,
      TimeZone: 'UTC',
      DateStyle: 'ISO, YMD',
      ...(!pooled && { statement_timeout: timeoutMs }),
    }
    const prepares = prepare === 'auto' ? !pooled || address.preparesThroughPooler : prepare
    const connection = openConnection({ address, parameters, prepare: prepares, timeoutMs, pace })
    dress(connection.sql)
    return connection
  }

  return {
    /** `patientMs`: a new one, whose server ends a statement after that time. */
    take(patientMs?: number): Connection {
      if (patientMs !== undefined) return open(patientMs)
      for (;;) {
        // The one used last, so that those a quiet hour does not need grow old.
        const connection = idle.pop()
        if (!connection) return open(settings.timeoutMs)
        if (!connection.closed && performance.now() < connection.retireAt) return connection
        connection.destroy()
      }
    },

    decrement(connection: Connection) {
      if (connection.closed) connection.destroy()
      else idle.push(connection)
    },

    /** Whether its connections keep what they prepare: no pooler is in between, as far as is known. */
    keepsPrepared: () => prepare !== false && !pooled,

    /** Whether that tells of a PgBouncer that its URL did not betray: nothing was sent yet, so writes may go again too. */
    isRefused(error: unknown): boolean {
      if (!refusedAtStartup(error)) return false
      pooled = true
      return true
    },

    close() {
      for (const connection of idle.splice(0)) connection.destroy()
    },
  }
}

export type Stock = ReturnType<typeof stockOf>

const refusedAtStartup = (error: unknown) =>
  error instanceof postgres.PostgresError &&
  error.code === '08P01' &&
  error.message.includes('startup parameter')
