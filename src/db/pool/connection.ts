import { createConnection, type Socket } from 'node:net'
import type { Sql } from 'postgres'
import { DatabaseUnavailable } from '../errors.ts'
import type { ConnectionTarget } from './connection-url.ts'
import { createDriverClient, type PendingQuery, sendCancelRequest } from './driver.ts'

/** Quick reads that one connection carries at once. With 4, reads took a tenth longer (docs/performance.md). */
export const pipelinedReadsMax = 8

/** One connection. When it is lost it is replaced, never reused. */
export type Connection = {
  sql: Sql
  /** The texts of the quick reads that this connection has prepared. */
  prepared: Set<string>
  readonly closed: boolean
  /** From this time on it is not used again, so that load moves to changed servers. */
  retireAt: number
  /** From here on it only carries a cancel request. */
  cancelling(): void
  destroy(): void
}

export type SendQuery<Rows> = (sql: Sql) => PendingQuery<Rows>

export type ConnectPacer = () => Promise<void>

/** How long a cancelled statement may take to stop before its connection is closed. */
const cancelGraceMs = 1_000

/** The lifetime of a connection; random, so that not all are replaced at once. */
const lifetimeMs = () => (30 + Math.random() * 30) * 60_000

const connectsPerSecondMax = 50

/** Limits connects: without it, postgres.js connects about 650 times per second to a peer that accepts and closes. */
export const createConnectPacer = (perSecondMax = connectsPerSecondMax): ConnectPacer => {
  let next = 0
  return async () => {
    const now = performance.now()
    // The limit of one second may be used at once.
    next = Math.max(next, now - 1000) + 1000 / perSecondMax
    if (next > now) await Bun.sleep(next - now)
  }
}

type Opening = {
  target: ConnectionTarget
  parameters: Record<string, string | number>
  prepare: boolean
  timeoutMs: number
  pace: ConnectPacer
}

/**
 * A postgres.js client of one connection. The pool decides how many statements run on it (`pipeline.ts`). The driver's
 * reconnecting is disabled, because it retries forever without telling the caller: `openSocket` opens one socket only.
 */
export const openConnection = (opening: Opening): Connection => {
  const { target, parameters, prepare, timeoutMs, pace } = opening
  const { path, host, port } = target.options
  const sockets = new Set<Socket>()
  let state: 'new' | 'used' | 'cancelling' | 'closed' = 'new'
  const isClosed = () => state === 'closed'

  const openSocket = async () => {
    if (state === 'new') {
      state = 'used'
      await pace()
    } else if (state !== 'cancelling') throw new DatabaseUnavailable('CONNECTION_CLOSED')
    if (isClosed()) throw new DatabaseUnavailable('CONNECTION_DESTROYED')
    const socket = path ? createConnection(path) : createConnection({ host, port })
    sockets.add(socket)
    socket.once('close', () => sockets.delete(socket))
    await connected(socket, timeoutMs)
    return Object.assign(socket, { host, port })
  }

  const sql = createDriverClient(
    {
      ...target.options,
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
    },
    { openSocket, pipelineMax: pipelinedReadsMax },
  )

  return {
    sql,
    prepared: new Set(),
    retireAt: performance.now() + lifetimeMs(),
    get closed() {
      return isClosed()
    },
    cancelling: () => {
      state = 'cancelling'
    },
    destroy: () => {
      state = 'closed'
      sql.end({ timeout: 0 }).catch(() => {})
      for (const socket of sockets) socket.destroy()
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

/** Cancels a statement on the server, then closes the connection: a write that waits for a lock outlives its socket. */
export const cancel = async (connection: Connection, query: PendingQuery<unknown>) => {
  connection.cancelling()
  const grace = Promise.withResolvers<void>()
  const timer = setTimeout(grace.resolve, cancelGraceMs)
  const ended = Promise.allSettled([query, sendCancelRequest(query)])
  await Promise.race([ended, grace.promise])
  clearTimeout(timer)
  connection.destroy()
}
