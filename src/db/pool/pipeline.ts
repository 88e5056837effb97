import { DatabaseUnavailable } from '../errors.ts'
import { type Connection, pipelinedReadsMax, type SendQuery } from './connection.ts'
import type { Deadline } from './deadline.ts'
import { interceptSettlement, type PendingQuery } from './driver.ts'

/** A connection without a response for this long has a slow statement in front: no further read is sent behind it. */
const silentMsMax = 20

/** A connection that carries quick reads. */
export type SharedConnection = {
  readonly connection: Connection
  /** Reads that run or are about to be sent. */
  reads: number
  lastResponseAt: number
  /** No further response of this connection is used, and no read is sent on it. */
  hasFailed: boolean
  /** Statements without a response, in order. The first may still run when all callers have given up. */
  readonly unanswered: Set<PendingQuery<unknown>>
}

type Admission = {
  /** Whether the first waiting read has joined the connection. */
  offer(shared: SharedConnection): boolean
  /** The last read has left. */
  release(shared: SharedConnection): void
}

/**
 * Pipelines prepared quick reads: the reads of one turn of the event loop share a connection and a write to its
 * socket, and so do reads when no connection is free.
 *
 * Most of the cost of a quick read is a write to a socket, waking a backend, and a read from the socket. Pipelined
 * reads share them. Writes are never pipelined: a statement that was sent cannot be recalled, and a write must not run
 * after its 503.
 */
export const createPipeline = ({ offer, release }: Admission) => {
  const connections = new Set<SharedConnection>()
  /** The connection whose statements of this turn are not written yet. */
  let unwritten: SharedConnection | undefined

  const untilWritten = (shared: SharedConnection) => {
    // postgres.js writes in this phase of the event loop too.
    if (unwritten === undefined) setImmediate(() => (unwritten = undefined))
    unwritten = shared
  }

  /** Joins if the connection has capacity for this statement. */
  const join = (shared: SharedConnection, text: string): boolean => {
    if (!hasCapacity(shared, text)) return false
    shared.reads++
    return true
  }

  /** Admits waiting reads in order and stops at the first that cannot use this connection. */
  const fill = (shared: SharedConnection) => {
    while (!shared.hasFailed && offer(shared));
  }

  return {
    /** Starts to share a connection, with one read. */
    open(connection: Connection): SharedConnection {
      const shared = {
        connection,
        reads: 1,
        lastResponseAt: performance.now(),
        hasFailed: false,
        unanswered: new Set<never>(),
      }
      connections.add(shared)
      untilWritten(shared)
      return shared
    },

    join,

    /** The connection that this turn's reads are written to. */
    joinUnwritten(text: string): SharedConnection | undefined {
      return unwritten && join(unwritten, text) ? unwritten : undefined
    },

    /** The connection with the fewest reads that has capacity. */
    joinAny(text: string): SharedConnection | undefined {
      let fewest: SharedConnection | undefined
      for (const shared of connections)
        if (shared.reads < (fewest?.reads ?? pipelinedReadsMax) && hasCapacity(shared, text))
          fewest = shared
      if (fewest === undefined) return undefined
      fewest.reads++
      untilWritten(fewest)
      return fewest
    },

    /** Throws `PipelineFailure` for every error except the read's own deadline: the read may be repeated alone. */
    async read<Rows>(
      shared: SharedConnection,
      send: SendQuery<Rows>,
      deadline: Deadline,
    ): Promise<Rows> {
      try {
        const query = track(shared, send(shared.connection.sql))
        fill(shared)
        const rows = await deadline.race(query)
        shared.lastResponseAt = performance.now()
        return rows
      } catch {
        throw deadline.expired() ? new DatabaseUnavailable('deadline') : pipelineFailure
      } finally {
        shared.reads--
        if (shared.reads > 0) fill(shared)
        else {
          connections.delete(shared)
          release(shared)
        }
      }
    },
  }
}

const hasCapacity = (shared: SharedConnection, text: string) => {
  const { connection, reads, lastResponseAt, hasFailed } = shared
  if (hasFailed || reads === 0 || reads >= pipelinedReadsMax || !connection.prepared.has(text))
    return false
  const now = performance.now()
  return now - lastResponseAt < silentMsMax && now < connection.retireAt
}

/**
 * Closes the connection when a statement fails, and refuses every response behind it.
 *
 * After an error, postgres.js may assign responses to the wrong statements: a statement that it could not write stays
 * among the sent ones, and one that ends amid its rows leaves holes in the next. So all reads of the connection are
 * repeated alone.
 */
const track = <Rows>(shared: SharedConnection, query: PendingQuery<Rows>): PendingQuery<Rows> => {
  shared.unanswered.add(query)
  return interceptSettlement(query, pipelineFailure, {
    onRows: () => {
      if (shared.hasFailed) return pipelineFailure
      shared.unanswered.delete(query)
      return undefined
    },
    onError: () => {
      shared.hasFailed = true
      shared.unanswered.delete(query)
      shared.connection.destroy()
    },
  })
}

/** A pipelined read failed, or a statement before it did. It may be repeated alone. */
export class PipelineFailure extends Error {
  /** If this member exists, postgres.js does not write the statement into it. */
  readonly query = undefined
}

const pipelineFailure = new PipelineFailure('a pipelined read failed')
