import postgres from 'postgres'
import { DatabaseUnavailable } from '../errors.ts'
import { type Connection, cancel, type SendQuery } from './connection.ts'
import { createDeadline, type Deadline } from './deadline.ts'
import type { PendingQuery } from './driver.ts'
import {
  type ConnectionSettings,
  createIdleConnections,
  type IdleConnections,
} from './idle-connections.ts'
import { createPipeline, PipelineFailure, type SharedConnection } from './pipeline.ts'
import { createSemaphore } from './semaphore.ts'
import { currentTimeBudget } from './time-budget.ts'

/*
 * A connection pool on one-connection clients of postgres.js.
 *
 * It guarantees:
 * - Every statement settles by its deadline, which covers waiting, connecting and running.
 * - A statement that missed its deadline while waiting is never sent. One that is running is cancelled on the server.
 *   So a write does not run after its 503, except in the milliseconds before the cancel request arrives.
 * - A connection that failed or missed a deadline is replaced. No slot is lost, and rows never reach another statement.
 * - Connects are limited to 50 per second (`connectsPerSecondMax` in `connection.ts`).
 * - Quick reads are pipelined (`pipeline.ts`). One that fails beside others is repeated alone.
 *
 * The driver's own pool does not (test/db/pool/driver-pool.test.ts): after a few killed backends all its slots hang
 * forever, a cancelled statement in its queue is still executed, a frozen server keeps statements pending forever, and
 * it connects about 1000 times per second to a peer that accepts and closes. The pool of Bun's SQL client survives
 * killed backends, but executes cancelled statements too and leaves statements of a frozen server pending
 * (docs/decisions/0003-connection-pool.md).
 *
 * The pool can be removed when a driver settles every statement by a deadline, cancels it on the server, and replaces
 * its connection: then these tests pass on the driver's own pool.
 */

type Options = {
  /** The text of a prepared quick read, which may be pipelined. */
  quickRead?: string | undefined
  budget?: ReturnType<typeof currentTimeBudget>
}

type StatementTask<Rows> = {
  send: SendQuery<Rows>
  deadline: Deadline
  quickRead?: string | undefined
  /** Set for a statement that needs a connection of its own, whose server ends statements after this time. */
  longDeadlineMs?: number | undefined
}

/** Opens no connection until the first statement. */
export const createPool = (settings: ConnectionSettings & { max: number }) => {
  const idleConnections = createIdleConnections(settings)
  const { attempt, state, rejectAll } = createAdmission(idleConnections, settings.max)
  let running = 0
  const ended = Promise.withResolvers<void>()
  let closed = false

  const run = async <Rows>(
    send: SendQuery<Rows>,
    { quickRead, budget = currentTimeBudget(settings.timeoutMs) }: Options = {},
  ): Promise<Rows> => {
    if (closed) throw new DatabaseUnavailable('closed')
    const { leftMs, isLong, totalMs } = budget
    if (leftMs <= 0) throw new DatabaseUnavailable('deadline')
    const deadline = createDeadline(leftMs)
    const task = { send, deadline, longDeadlineMs: isLong ? totalMs : undefined }
    const mayPipeline = idleConnections.keepsPreparedStatements() && !isLong
    running++
    try {
      return await attempt({ ...task, quickRead: mayPipeline ? quickRead : undefined })
    } catch (error) {
      // Alone, a read gets its own error, if it has one.
      if (!(error instanceof PipelineFailure) && !idleConnections.isPoolerRefusal(error))
        throw error
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

    /** Waits for running statements and refuses waiting ones. */
    async close() {
      closed = true
      rejectAll()
      if (running > 0) await ended.promise
      idleConnections.close()
    },
  }
}

/** Admits statements: at most `max` connections at once, each with a permit, which quick reads share. */
const createAdmission = (idleConnections: IdleConnections, max: number) => {
  const permits = createSemaphore<SharedConnection>(max)
  const pipeline = createPipeline({
    offer: permits.offer,
    release: ({ connection, hasFailed, unanswered: [late] }) =>
      release(connection, !hasFailed, late),
  })

  /** With a late query, the permit is released when its connection is closed. */
  const release = (connection: Connection, isReusable: boolean, late?: PendingQuery<unknown>) => {
    if (late !== undefined) return void cancel(connection, late).finally(permits.release)
    if (isReusable) idleConnections.putBack(connection)
    else connection.destroy()
    permits.release()
  }

  const runAlone = async <Rows>(connection: Connection, task: StatementTask<Rows>) => {
    const { send, deadline, longDeadlineMs } = task
    const isShort = longDeadlineMs === undefined
    const query = send(connection.sql)
    try {
      const rows = await deadline.race(query)
      release(connection, isShort)
      return rows
    } catch (error) {
      const isLate = deadline.expired()
      release(connection, isShort && leavesConnectionReusable(error), isLate ? query : undefined)
      throw isLate ? new DatabaseUnavailable('deadline') : error
    }
  }

  /** A connection to share, or undefined with a permit. Synchronous if nothing has to be awaited. */
  const admit = ({ deadline, quickRead }: StatementTask<unknown>) => {
    if (quickRead === undefined) return permits.tryAcquire() ? undefined : permits.acquire(deadline)
    const mayJoin = permits.state().waiting === 0
    const shared = mayJoin ? pipeline.joinUnwritten(quickRead) : undefined
    if (shared || permits.tryAcquire()) return shared
    return (
      (mayJoin ? pipeline.joinAny(quickRead) : undefined) ??
      permits.acquire(deadline, (offered) => pipeline.join(offered, quickRead))
    )
  }

  const attempt = async <Rows>(task: StatementTask<Rows>): Promise<Rows> => {
    const { send, deadline, quickRead, longDeadlineMs } = task
    const admission = admit(task)
    const shared = admission instanceof Promise ? await admission : admission
    if (shared) return pipeline.read(shared, send, deadline)
    const connection = idleConnections.take(longDeadlineMs)
    if (quickRead === undefined) return runAlone(connection, task)
    if (connection.prepared.has(quickRead))
      return pipeline.read(pipeline.open(connection), send, deadline)
    const rows = await runAlone(connection, task)
    connection.prepared.add(quickRead)
    return rows
  }

  return { attempt, state: permits.state, rejectAll: permits.rejectAll }
}

/**
 * A violated constraint ends a statement before its first row. After an error amid the rows, postgres.js assigns values
 * of the next statement to the wrong rows.
 */
const leavesConnectionReusable = (error: unknown) =>
  error instanceof postgres.PostgresError && error.code.startsWith('23')
