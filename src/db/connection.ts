import { createConnection, type Socket } from 'node:net'
import postgres, { type Sql } from 'postgres'
import type { Address } from './address.ts'
import { DatabaseUnavailable } from './faults.ts'
import { readsMax } from './seats.ts'

/** One connection for its whole life: when it is lost it is thrown away, never mended. */
export type Connection = {
  sql: Sql
  /** The texts of the statements that it has prepared and that may be sent beside others. */
  prepared: Set<string>
  readonly closed: boolean
  /** Past this moment it is not used again, so that load spreads over changed servers. */
  retireAt: number
  /** From here on it may only carry a cancel request. */
  cancelling(): void
  destroy(): void
}

/** What postgres.js keeps of a statement. `canceller` gives the promise that its `cancel()` drops. */
export type Running<Rows> = Promise<Rows> & {
  canceller?: ((query: unknown) => Promise<unknown>) | null
  resolve?(rows: Rows): void
  reject?(error: unknown): void
}
export type Send<Rows> = (sql: Sql) => Running<Rows>

export type Pace = () => Promise<void>

/** How long a statement that was cancelled may take to stop before its connection is cut. */
const graceMs = 1_000

/** How long a connection is used, spread so that not all are renewed at once. */
const lifeMs = () => (30 + Math.random() * 30) * 60_000

/** What a burst may take at once, and then each second. */
const connectsPerSecondMax = 50

/** A peer that accepts and closes would otherwise be called ~650 times a second. */
export const paceOf = (perSecondMax = connectsPerSecondMax): Pace => {
  let next = 0
  return async () => {
    const now = performance.now()
    next = Math.max(next, now - 1000) + 1000 / perSecondMax
    if (next > now) await Bun.sleep(next - now)
  }
}

type Opening = {
  address: Address
  parameters: Record<string, string | number>
  prepare: boolean
  timeoutMs: number
  pace: Pace
}

/**
 * A postgres.js of one connection. Its own pipelining left the slot of a killed backend hung for good; how many
 * statements run here at once is the pool's to say (src/db/seats.ts). Its own reconnecting is switched off
 * (the factory gives a socket once): it retries for ever without telling the statement's caller.
 */
export const openConnection = ({
  address,
  parameters,
  prepare,
  timeoutMs,
  pace,
}: Opening): Connection => {
  const { path, host, port } = address.options
  const sockets = new Set<Socket>()
  let state: 'new' | 'used' | 'cancelling' | 'closed' = 'new'
  const isClosed = () => state === 'closed'

  const socket = async () => {
    if (state === 'new') {
      state = 'used'
      await pace()
    } else if (state !== 'cancelling') throw new DatabaseUnavailable('CONNECTION_CLOSED')
    if (isClosed()) throw new DatabaseUnavailable('CONNECTION_DESTROYED')
    const opened = path ? createConnection(path) : createConnection({ host, port })
    sockets.add(opened)
    opened.once('close', () => sockets.delete(opened))
    await connected(opened, timeoutMs)
    // postgres.js takes TLS's server name from here.
    return Object.assign(opened, { host, port })
  }

  // `socket` and `max_pipeline` are options of postgres.js that its types leave out.
  const own = { socket, max_pipeline: readsMax }
  const sql = postgres({
    ...address.options,
    ...own,
    max: 1,
    prepare,
    fetch_types: false,
    idle_timeout: 0,
    max_lifetime: null,
    keep_alive: 30,
    connect_timeout: timeoutMs / 1000,
    connection: parameters,
    onnotice: () => {},
    onclose: () => {
      if (state === 'used') state = 'closed'
    },
  })

  return {
    sql,
    prepared: new Set(),
    retireAt: performance.now() + lifeMs(),
    get closed() {
      return isClosed()
    },
    cancelling: () => {
      state = 'cancelling'
    },
    destroy: () => {
      state = 'closed'
      sql.end({ timeout: 0 }).catch(() => {})
      for (const opened of sockets) opened.destroy()
    },
  }
}

const connected = (socket: Socket, timeoutMs: number) => {
  const { promise, resolve, reject } = Promise.withResolvers<void>()
  const timer = setTimeout(
    () => socket.destroy(Object.assign(new Error('connect timed out'), { code: 'ETIMEDOUT' })),
    timeoutMs,
  )
  const closed = () => reject(new DatabaseUnavailable('CONNECTION_CLOSED'))
  socket.once('connect', resolve).once('error', reject).once('close', closed)
  return promise.finally(() => {
    clearTimeout(timer)
    socket.off('connect', resolve).off('error', reject).off('close', closed)
  })
}

/**
 * Cancels on the server first: a write that waits for a lock outlives its connection. Not by
 * `query.cancel()`: where the request finds nobody, that leaves a rejection unhandled, which ends the process.
 */
export const cancel = async (connection: Connection, query: Running<unknown>) => {
  connection.cancelling()
  const grace = Promise.withResolvers<void>()
  const timer = setTimeout(grace.resolve, graceMs)
  const ended = Promise.allSettled([query, query.canceller?.(query)])
  await Promise.race([ended, grace.promise])
  clearTimeout(timer)
  connection.destroy()
}
