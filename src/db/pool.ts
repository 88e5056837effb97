import postgres from 'postgres'
import { type Connection, cancel, type Running, type Send } from './connection.ts'
import { type Deadline, deadlineAfter } from './deadline.ts'
import { DatabaseUnavailable } from './faults.ts'
import { allowance } from './patience.ts'
import { FailedBeside, type Seat, seatsOf } from './seats.ts'
import { type Stock, type StockSettings, stockOf } from './stock.ts'
import { turns } from './turns.ts'

type Options = {
  /** The text of a prepared read that may be sent beside others (src/db/seats.ts). */
  quickRead?: string | undefined
  allowed?: ReturnType<typeof allowance>
}

/** One statement: how it is sent, until when, and which connection it is to have. */
type Task<Rows> = {
  send: Send<Rows>
  deadline: Deadline
  quickRead?: string | undefined
  /** A connection of its own, for the time that the server ends its statements after. */
  patientMs?: number | undefined
}

/**
 * Runs each statement on a connection of its own choosing, under one deadline for waiting,
 * connecting and running.
 *
 * postgres.js has a pool, but a statement cancelled while its connection was being made loses it
 * that slot, and a connection to a frozen server is kept. Here a connection that
 * failed or missed a deadline is replaced.
 */
export const poolOf = (settings: StockSettings & { max: number }) => {
  const stock = stockOf(settings)
  const { attempt, state, refuseAll } = placesOf(stock, settings.max)
  let running = 0
  const ended = Promise.withResolvers<void>()
  let closed = false

  const run = async <Rows>(
    send: Send<Rows>,
    { quickRead, allowed = allowance(settings.timeoutMs) }: Options = {},
  ): Promise<Rows> => {
    if (closed) throw new DatabaseUnavailable('closed')
    const { leftMs, isPatient, wholeMs } = allowed
    if (leftMs <= 0) throw new DatabaseUnavailable('deadline')
    const deadline = deadlineAfter(leftMs)
    const task = { send, deadline, patientMs: isPatient ? wholeMs : undefined }
    const mayShare = stock.keepsPrepared() && !isPatient
    running++
    try {
      return await attempt({ ...task, quickRead: mayShare ? quickRead : undefined })
    } catch (error) {
      // Alone, a read is told what is wrong with it, if anything is.
      if (!(error instanceof FailedBeside) && !stock.isRefused(error)) throw error
      return await attempt(task)
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
      stock.close()
    },
  }
}

/** Where statements run: at most `max` connections at once, each with a turn, or in a seat beside others. */
const placesOf = (stock: Stock, max: number) => {
  const { enter, wait, leave, offer, refuseAll, state } = turns<Seat>(max)
  const seats = seatsOf({
    offer,
    release: ({ connection, hasFailed, unanswered: [late] }) =>
      release(connection, !hasFailed, late),
  })

  /** `late`: what still runs on it; then the turn ends when it has been cut. */
  const release = (connection: Connection, isSound: boolean, late?: Running<unknown>) => {
    if (late !== undefined) return void cancel(connection, late).finally(leave)
    if (isSound) stock.decrement(connection)
    else connection.destroy()
    leave()
  }

  const alone = async <Rows>(connection: Connection, { send, deadline, patientMs }: Task<Rows>) => {
    const isKept = patientMs === undefined
    const query = send(connection.sql)
    try {
      const rows = await deadline.race(query)
      release(connection, isKept)
      return rows
    } catch (error) {
      const isLate = deadline.expired()
      release(connection, isKept && survived(error), isLate ? query : undefined)
      throw isLate ? new DatabaseUnavailable('deadline') : error
    }
  }

  /** A seat, or nothing for a turn. */
  const admitted = ({ deadline, quickRead }: Task<unknown>) => {
    if (quickRead === undefined) return enter() ? undefined : wait(deadline)
    const mayJoin = state().waiting === 0
    const seat = mayJoin ? seats.joinUnwritten(quickRead) : undefined
    if (seat || enter()) return seat
    return (
      (mayJoin ? seats.joinAny(quickRead) : undefined) ??
      wait(deadline, (offered) => seats.join(offered, quickRead))
    )
  }

  const attempt = async <Rows>(task: Task<Rows>): Promise<Rows> => {
    const { send, deadline, quickRead, patientMs } = task
    const admission = admitted(task)
    const seat = admission instanceof Promise ? await admission : admission
    if (seat) return seats.read(seat, send, deadline)
    const connection = stock.take(patientMs)
    if (quickRead === undefined) return alone(connection, task)
    if (connection.prepared.has(quickRead))
      return seats.read(seats.open(connection), send, deadline)
    const rows = await alone(connection, task)
    connection.prepared.add(quickRead)
    return rows
  }

  return { attempt, state, refuseAll }
}

/**
 * Whether a connection is as good as before. It is where a constraint was broken, before any row was sent; amid its rows,
 * a statement that ends leaves postgres.js counting: the next one's rows have holes before them.
 */
const survived = (error: unknown) =>
  error instanceof postgres.PostgresError && error.code.startsWith('23')
