import postgres, { type Sql } from 'postgres'
import { type Connection, createConnectPacer, openConnection } from './connection.ts'
import type { ConnectionTarget } from './connection-url.ts'
import { supportsPreparing } from './pooler-probe.ts'

export type ConnectionSettings = {
  target: ConnectionTarget
  timeoutMs: number
  prepare: 'auto' | boolean
  /** Makes a new client read and write values as Drizzle expects. */
  configure: (sql: Sql) => void
}

/** Opens connections and keeps the idle ones. */
export const createIdleConnections = (settings: ConnectionSettings) => {
  const { target, prepare, configure } = settings
  const idle: Connection[] = []
  const pace = createConnectPacer()
  let { pooled, preparesThroughPooler } = target
  /** Opened before the pooler was known to support named statements. */
  const outdated = new WeakSet<Connection>()
  let isProbing = false

  const prepares = () => (prepare === 'auto' ? !pooled || preparesThroughPooler : prepare)
  /** Asks an unknown pooler, and until then sends statements without names. After an error it asks again. */
  const probe = (opening: Parameters<typeof supportsPreparing>[0]) => {
    if (prepare !== 'auto' || prepares() || isProbing) return
    isProbing = true
    supportsPreparing(opening).then(
      (isSupported) => {
        preparesThroughPooler = isSupported
      },
      () => {
        isProbing = false
      },
    )
  }

  const open = (timeoutMs: number) => {
    // A pooler refuses `statement_timeout` as a startup parameter (08P01), but passes on the time zone.
    const parameters = {
      application_name: 'taskwarden',
      ...target.parameters,
      TimeZone: 'UTC',
      DateStyle: 'ISO, YMD',
      ...(!pooled && { statement_timeout: timeoutMs }),
    }
    const opening = { target, parameters, timeoutMs, pace }
    probe(opening)
    const connection = openConnection({ ...opening, prepare: prepares() })
    if (!prepares()) outdated.add(connection)
    configure(connection.sql)
    return connection
  }
  const isUsable = (connection: Connection) =>
    !connection.closed &&
    performance.now() < connection.retireAt &&
    !(outdated.has(connection) && prepares())

  return {
    /** With `longDeadlineMs`, opens a new connection whose server ends a statement after that time. */
    take(longDeadlineMs?: number): Connection {
      if (longDeadlineMs !== undefined) return open(longDeadlineMs)
      for (;;) {
        // The most recently used one, so that unneeded connections age.
        const connection = idle.pop()
        if (!connection) return open(settings.timeoutMs)
        if (isUsable(connection)) return connection
        connection.destroy()
      }
    },

    putBack(connection: Connection) {
      if (connection.closed) connection.destroy()
      else idle.push(connection)
    },

    /** Connections keep their prepared statements, because no pooler is known to be in between. */
    keepsPreparedStatements: () => prepare !== false && !pooled,

    /**
     * Whether the error shows a PgBouncer that the URL does not reveal. Nothing was sent yet, so a write may be
     * repeated too.
     */
    isPoolerRefusal(error: unknown): boolean {
      if (!isStartupParameterRefusal(error)) return false
      pooled = true
      return true
    },

    close() {
      for (const connection of idle.splice(0)) connection.destroy()
    },
  }
}

export type IdleConnections = ReturnType<typeof createIdleConnections>

const isStartupParameterRefusal = (error: unknown) =>
  error instanceof postgres.PostgresError &&
  error.code === '08P01' &&
  error.message.includes('startup parameter')
