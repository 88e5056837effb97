import type { Connection, Running, Send } from './connection.ts'
import type { Deadline } from './deadline.ts'
import { DatabaseUnavailable } from './faults.ts'

/** How many reads a connection carries at once; with 4 they took a tenth longer (docs/performance.md). */
export const readsMax = 8
/** Where nothing has come for so long, something slow is in front: nobody else is sent behind it. */
const stillMsMax = 20

/** A connection that carries quick reads: those that run or are about to be sent. */
export type Seat = {
  readonly connection: Connection
  reads: number
  /** When the last answer came. */
  movedAt: number
  /** Nothing that comes on it is believed any more, and no more are sent. */
  hasFailed: boolean
  /** What was sent and has not come, in order: when nobody waits for it any more, the first of it may still run. */
  readonly unanswered: Set<Running<unknown>>
}

type Turns = {
  /** Whether who waits first has taken the seat. */
  offer(seat: Seat): boolean
  /** The last read has gone. */
  release(seat: Seat): void
}

/**
 * Sends prepared, quick reads side by side on one connection: those of one turn of the event loop,
 * which go in one write, and where no connection is free.
 *
 * Most of what one of them costs is a write to a socket, a backend that wakes and a read from the
 * socket; several share these. It is for reads alone: what was sent cannot be called back, and a
 * write must not run after its 503.
 */
export const seatsOf = ({ offer, release }: Turns) => {
  const seats = new Set<Seat>()
  /** What it carries is not written yet. */
  let unwritten: Seat | undefined

  const untilWritten = (seat: Seat) => {
    // postgres.js writes in this phase too.
    if (unwritten === undefined) setImmediate(() => (unwritten = undefined))
    unwritten = seat
  }

  const hasRoom = ({ connection, reads, movedAt, hasFailed }: Seat, text: string) => {
    if (hasFailed || reads === 0 || reads >= readsMax || !connection.prepared.has(text))
      return false
    const now = performance.now()
    return now - movedAt < stillMsMax && now < connection.retireAt
  }

  /** Whether there was room for this statement, and is taken now. */
  const join = (seat: Seat, text: string): boolean => {
    if (!hasRoom(seat, text)) return false
    seat.reads++
    return true
  }

  /** Whoever waits and may sit here is let in, up to the first who may not. */
  const fill = (seat: Seat) => {
    while (!seat.hasFailed && offer(seat));
  }

  return {
    /** For the first read of a connection. */
    open(connection: Connection): Seat {
      const movedAt = performance.now()
      const seat = { connection, reads: 1, movedAt, hasFailed: false, unanswered: new Set<never>() }
      seats.add(seat)
      untilWritten(seat)
      return seat
    },

    join,

    /** The one whose reads go in the same write. */
    joinUnwritten(text: string): Seat | undefined {
      return unwritten && join(unwritten, text) ? unwritten : undefined
    },

    /** The one that carries least, of those that have room. */
    joinAny(text: string): Seat | undefined {
      let least: Seat | undefined
      for (const seat of seats)
        if (seat.reads < (least?.reads ?? readsMax) && hasRoom(seat, text)) least = seat
      if (least === undefined) return undefined
      least.reads++
      untilWritten(least)
      return least
    },

    /** `FailedBeside` whatever went wrong but its deadline: it may be sent again, alone. */
    async read<Rows>(seat: Seat, send: Send<Rows>, deadline: Deadline): Promise<Rows> {
      try {
        const query = watched(seat, send(seat.connection.sql))
        fill(seat)
        const rows = await deadline.race(query)
        seat.movedAt = performance.now()
        return rows
      } catch {
        throw deadline.expired() ? new DatabaseUnavailable('deadline') : failedBeside
      } finally {
        seat.reads--
        if (seat.reads > 0) fill(seat)
        else {
          seats.delete(seat)
          release(seat)
        }
      }
    },
  }
}

/**
 * Told at once what becomes of a statement, which its promise tells some microtasks later.
 *
 * Behind one that failed, postgres.js counts answers off against the wrong statements: one that it could not write
 * is left among those that were sent, and one that was ended amid its rows leaves the next with holes. So nothing that comes behind it is
 * believed, the connection is cut, and whoever was on it is sent again, alone.
 */
const watched = <Rows>(seat: Seat, query: Running<Rows>): Running<Rows> => {
  const { resolve, reject } = query
  const fail = (error: unknown) => {
    seat.hasFailed = true
    seat.unanswered.delete(query)
    seat.connection.destroy()
    reject?.(error)
  }
  seat.unanswered.add(query)
  return Object.assign(query, {
    retried: failedBeside,
    reject: fail,
    resolve: (rows: Rows) => {
      if (seat.hasFailed) return fail(failedBeside)
      seat.unanswered.delete(query)
      resolve?.(rows)
    },
  })
}

/**
 * Whatever became of a read beside others; it may be sent again, alone.
 *
 * postgres.js is told that it has sent the read again already (`retried`), and rejects it with this. A statement whose plan became
 * stale it would send again by itself, in two steps between which others are sent; from then on answers went to
 * the wrong statements: rows were missing, and some never came (test/db/seats.test.ts).
 */
export class FailedBeside extends Error {
  /** Where it is there, postgres.js does not write its own into it. */
  readonly query = undefined
}

const failedBeside = new FailedBeside('a read failed beside others')
