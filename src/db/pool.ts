import postgres, { type Sql } from 'postgres'
import type { Address } from './address.ts'
import { type Connection, openConnection, type Pace, paceOf } from './connection.ts'
import { type Deadline, deadlineAfter } from './deadline.ts'
import { DatabaseUnavailable } from './faults.ts'
import { allowance } from './patience.ts'
import { turns } from './turns.ts'

/** How long a statement that was cancelled may take to stop before its connection is cut. */
const graceMs = 1_000

/** `canceller`: postgres.js's own, which gives the promise that its `cancel()` drops. */
type Running<Rows> = Promise<Rows> & { canceller?: ((query: unknown) => Promise<unknown>) | null }
type Send<Rows> = (sql: Sql) => Running<Rows>

type PoolSettings = {
  address: Address
  max: number
  timeoutMs: number
  prepare: 'auto' | boolean
  /** Makes a new connection's postgres.js read and write values as Drizzle wants them. */
  dress: (sql: Sql) => void
}

/**
 * Runs each statement on a connection of its own choosing, under one deadline for waiting,
 * connecting and running.
 *
 * postgres.js has a pool, but a statement cancelled while its connection was being made loses it
 * that slot, and a connection to a frozen server is kept. Here a connection that
 * failed or missed a deadline is replaced.
 */
export const poolOf = (settings: PoolSettings) => {
  const { address, max, timeoutMs } = settings
  const { enter, wait, leave, refuseAll, state } = turns(max)
  const pace = paceOf()
  const idle: Connection[] = []
  let running = 0
  const ended = Promise.withResolvers<void>()
  let { pooled } = address
  let closed = false

  /** The one used last, so that those a quiet hour does not need grow old. */
  const take = (): Connection => {
    const connection = idle.pop()
    if (!connection) return open(settings, pace, pooled)
    if (!connection.closed && performance.now() < connection.retireAt) return connection
    connection.destroy()
    return take()
  }

  const attempt = async <Rows>(
    send: Send<Rows>,
    deadline: Deadline,
    connectionFor: () => Connection,
  ): Promise<Rows> => {
    if (!enter()) await wait(deadline)
    const connection = connectionFor()
    const release = () => {
      if (closed || connection.closed || connectionFor !== take) connection.destroy()
      else idle.push(connection)
      leave()
    }
    const query = send(connection.sql)
    try {
      const rows = await deadline.race(query)
      release()
      return rows
    } catch (error) {
      if (deadline.expired()) {
        void cancel(connection, query).finally(leave)
        throw new DatabaseUnavailable('deadline')
      }
      if (!survived(error)) connection.destroy()
      release()
      throw error
    }
  }

  const run = async <Rows>(send: Send<Rows>, allowed = allowance(timeoutMs)): Promise<Rows> => {
    if (closed) throw new DatabaseUnavailable('closed')
    const { leftMs, isPatient, wholeMs } = allowed
    if (leftMs <= 0) throw new DatabaseUnavailable('deadline')
    const deadline = deadlineAfter(leftMs)
    running++
    // The server ends a statement after a time that its connection was opened with.
    const connectionFor = isPatient
      ? () => open({ ...settings, timeoutMs: wholeMs }, pace, pooled)
      : take
    try {
      return await attempt(send, deadline, connectionFor)
    } catch (error) {
      if (!refusedAtStartup(error)) throw error
      // A PgBouncer that its URL did not betray. Nothing was sent yet, so writes may go again too.
      pooled = true
      return await attempt(send, deadline, connectionFor)
    } finally {
      deadline.clear()
      running--
      if (closed && running === 0) ended.resolve()
    }
  }

  return {
    state,

    run,

    async close() {
      closed = true
      refuseAll()
      if (running > 0) await ended.promise
      for (const connection of idle.splice(0)) connection.destroy()
    },
  }
}

const open = (
  { address, prepare, timeoutMs, dress }: PoolSettings,
  pace: Pace,
  pooled: boolean,
) => {
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

/**
 * Cancels on the server first: a write that waits for a lock outlives its connection. Not by
 * `query.cancel()`: where the request finds nobody, that leaves a rejection unhandled, which ends the process.
 */
const cancel = async (connection: Connection, query: Running<unknown>) => {
  connection.cancelling()
  const grace = Promise.withResolvers<void>()
  const timer = setTimeout(grace.resolve, graceMs)
  const ended = Promise.allSettled([query, query.canceller?.(query)])
  await Promise.race([ended, grace.promise])
  clearTimeout(timer)
  connection.destroy()
}

/** A statement's own error leaves its connection sound; anything else (FATAL, the network) does not. */
const survived = (error: unknown) =>
  error instanceof postgres.PostgresError && error.severity === 'ERROR'

const refusedAtStartup = (error: unknown) =>
  error instanceof postgres.PostgresError &&
  error.code === '08P01' &&
  error.message.includes('startup parameter')
