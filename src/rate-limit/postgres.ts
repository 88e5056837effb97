import { withDeadlineSince } from '../db/pool/time-budget.ts'
import { type Count, type RateLimitStore, RateLimitStoreUnavailable } from './store.ts'

type Row = Record<string, unknown>

type Needs = {
  /** Sends one statement, prepared by its text; rejects at the deadline of the pool. */
  run: (text: string, params: (string | number)[]) => PromiseLike<readonly Row[]>
  close: () => Promise<void>
}

/** How often an instance that counts also deletes expired rows. */
const sweepMs = 60_000
const sweptAtOnceMax = 1000

/**
 * Counters in a PostgreSQL table, for any number of instances. One statement counts, under the row lock and by the
 * clock of the server.
 *
 * Requests for a key whose statement is running are counted together by the next statement. Otherwise they would
 * wait for the row lock on connections that other requests need.
 *
 * The table is unlogged: counting needs no WAL and no fsync. A server crash, a failover or a suspended Neon compute
 * loses the counts.
 *
 * Expired rows are deleted after a count, not by a timer, which would keep an idle database awake.
 */
export const createPostgresStore = ({ run, close }: Needs): RateLimitStore => {
  let sweepAt = performance.now() + Math.random() * sweepMs

  const send = async (text: string, params: (string | number)[] = []) => {
    try {
      return await run(text, params)
    } catch (error) {
      throw new RateLimitStoreUnavailable(codeOf(error))
    }
  }

  const count = async (key: string, windowMs: number, by: number): Promise<Count> => {
    const [row] = await send(addStatement, [key, windowMs, by])
    return { count: Number(row?.count), resetsAt: Date.now() + Number(row?.left_ms) }
  }

  /** Waiting requests by key and window. */
  const queues = new Map<string, Waiting[]>()

  const countAll = async (name: string, key: string, windowMs: number, queue: Waiting[]) => {
    for (;;) {
      const batch = queue.splice(0)
      const [first] = batch
      if (first === undefined) break
      try {
        const last = await withDeadlineSince(first.sinceMs, () =>
          count(key, windowMs, batch.length),
        )
        for (const [at, { resolve }] of batch.entries())
          resolve({ ...last, count: last.count - batch.length + 1 + at })
      } catch (error) {
        for (const { reject } of batch) reject(error)
      }
    }
    queues.delete(name)
  }

  /** An error is ignored: the next sweep follows a minute later. */
  const sweep = async () => {
    sweepAt = performance.now() + sweepMs
    try {
      while ((await send(sweepStatement, [sweptAtOnceMax])).length === sweptAtOnceMax);
    } catch {}
  }

  return {
    add: (key, windowMs) => {
      const now = performance.now()
      if (now >= sweepAt) void sweep()
      const { promise, resolve, reject } = Promise.withResolvers<Count>()
      const waiting = { sinceMs: now, resolve, reject }
      const name = `${windowMs} ${key}`
      const queue = queues.get(name)
      if (queue !== undefined) queue.push(waiting)
      else {
        const opened = [waiting]
        queues.set(name, opened)
        void countAll(name, key, windowMs, opened)
      }
      return promise
    },
    decrement: async (key) => {
      await send(giveBackStatement, [key])
    },
    reset: async (key) => {
      await send('delete from counters where key = $1', [key])
    },
    ping: async () => {
      await send('select 1')
    },
    close,
  }
}

type Waiting = {
  sinceMs: number
  resolve: (count: Count) => void
  reject: (error: unknown) => void
}

const addStatement = `
  insert into counters as c (key, count, resets_at)
  values ($1, $3::int, now() + $2::float8 * interval '1 millisecond')
  on conflict (key) do update set
    count = case when c.resets_at > now() then c.count + excluded.count else excluded.count end,
    resets_at = case when c.resets_at > now() then c.resets_at else excluded.resets_at end
  returning count::float8 as count, ceil(extract(epoch from resets_at - now()) * 1000)::float8 as left_ms`

/** After the end of the window this has no effect: the next request opens a new window. */
const giveBackStatement = 'update counters set count = count - 1 where key = $1 and count > 0'

/** Skips rows that are being counted at this moment. */
const sweepStatement = `
  delete from counters where key in (
    select key from counters where resets_at <= now() limit $1 for update skip locked
  ) returning 1`

const codeOf = (error: unknown): string => {
  const { code } = error as { code?: unknown }
  return typeof code === 'string' ? code : 'failed'
}
