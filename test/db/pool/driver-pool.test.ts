import { describe, expect, test } from 'bun:test'
import { SQL } from 'bun'
import postgres from 'postgres'
import { onPostgres, serverPort, serverUrl, until } from '../../support/databases.ts'
import { proxyTo } from '../../support/proxy.ts'

/*
 * What the pools of postgres.js and of Bun do by themselves: the reasons for src/db/pool. A test that fails here after an
 * update is good news: review docs/decisions/0003-connection-pool.md, and remove what is not needed any more.
 *
 * They run only with TEST_DRIVER_POOLS=1: the faults are races in code that the service does not use, so a run on a
 * busy machine may not hit one.
 */

const isRequested = Boolean(process.env.TEST_DRIVER_POOLS)

type Pending = Promise<unknown[]> & { cancel(): unknown }
type Pool = {
  query(text: string, values?: unknown[]): Pending
  close(): Promise<unknown>
}
type Open = (url: string, max: number) => Pool

const postgresJs: Open = (url, max) => {
  const sql = postgres(url, { max, fetch_types: false, onnotice: () => {} })
  return {
    query: (text, values = []) =>
      sql.unsafe(text, values as string[], { prepare: true }) as unknown as Pending,
    close: () => sql.end({ timeout: 0 }),
  }
}
const bunSql: Open = (url, max) => {
  const sql = new SQL(url, { max })
  return {
    query: (text, values = []) => sql.unsafe(text, values) as unknown as Pending,
    close: () => sql.close({ timeout: 0 }),
  }
}

/** `resolved` or `rejected`; `pending` after a time in which every statement here would be done. */
const outcome = (work: Promise<unknown>, ms = 1_500) =>
  Promise.race([
    work.then(
      () => 'resolved',
      () => 'rejected',
    ),
    Bun.sleep(ms).then(() => 'pending'),
  ])

const opened = async (open: Open, { max = 1, port = undefined as number | undefined } = {}) => {
  const one = await onPostgres()
  const url = new URL(one.url)
  if (port !== undefined) url.port = String(port)
  const pool = open(url.href, max)
  const { admin, name } = one
  return {
    ...pool,
    kill: () =>
      admin`select pg_terminate_backend(pid) from pg_stat_activity
        where datname = ${name} and pid <> pg_backend_pid()`,
    async [Symbol.asyncDispose]() {
      await outcome(pool.close(), 500)
      await one[Symbol.asyncDispose]()
    },
  }
}

/** Whether no write ends any more after a kill of all backends, in at most `killsMax` kills. */
const hangsAfterKills = async (open: Open, killsMax: number) => {
  await using one = await opened(open, { max: 2 })
  await one.query('create table rows (n int)')
  let over = false
  let done = 0
  const writer = async () => {
    for (; !over; done++) await one.query('insert into rows values ($1)', [1]).catch(() => {})
  }
  const writers = Array.from({ length: 20 }, writer)
  let isHung = false
  for (let kills = 0; kills < killsMax && !isHung; ) {
    const before = done
    kills += (await one.kill()).length
    const deadline = performance.now() + 8_000
    await until(async () => done > before || performance.now() > deadline)
    isHung = done === before
  }
  over = true
  if (!isHung) await Promise.all(writers)
  return isHung
}

const acceptAndClose = async (open: Open) => {
  let calls = 0
  using server = Bun.listen({
    ...{ hostname: '127.0.0.1', port: 0 },
    socket: {
      data: () => {},
      open: (socket) => {
        calls++
        socket.end()
      },
    },
  })
  const pool = open(`postgres://a@127.0.0.1:${server.port}/a`, 1)
  const result = await outcome(pool.query('select 1'))
  void outcome(pool.close())
  return { result, calls }
}

test.skipIf(!isRequested)(
  'postgres.js calls a server that accepts and closes in a loop, and the statement is pending',
  async () => {
    const { result, calls } = await acceptAndClose(postgresJs)

    expect(result).toBe('pending')
    expect(calls).toBeGreaterThan(100)
  },
)

test.skipIf(!isRequested)(
  'Bun.SQL leaves a statement pending on a server that accepts and closes',
  async () => {
    expect((await acceptAndClose(bunSql)).result).toBe('pending')
  },
)

const pools = [
  ['postgres.js', postgresJs],
  ['Bun.SQL', bunSql],
] as const

describe.skipIf(!(serverUrl && isRequested))('on a server', () => {
  test.each(pools)(
    '%s leaves statements pending on a frozen server, after a cancel too',
    async (_, open) => {
      await using proxy = await proxyTo(serverPort())
      await using one = await opened(open, { port: proxy.port })
      await one.query('select 1')

      proxy.freeze()
      const frozen = one.query('select 1')
      expect(await outcome(frozen)).toBe('pending')
      frozen.cancel()

      expect(await outcome(frozen)).toBe('pending')
      proxy.thaw()
      expect(await outcome(one.query('select 1'))).toBe('pending')
    },
  )

  test.each(pools)('%s executes a write that was cancelled in the queue', async (_, open) => {
    await using one = await opened(open)
    const insert = () => one.query('insert into rows values ($1)', [1])
    const sleep = (seconds: number) => one.query('select pg_sleep($1)', [seconds])
    await one.query('create table rows (n int)')
    await insert()
    await sleep(0)

    const slow = sleep(0.5)
    await outcome(slow, 50)
    const cancelled = insert()
    await outcome(cancelled, 50)
    cancelled.cancel()
    await Promise.allSettled([slow, cancelled])

    expect(await one.query('select n from rows')).toHaveLength(2)
  })

  test.each(pools)(
    '%s sends a fast statement behind a slow one, although another connection is free',
    async (_, open) => {
      await using one = await opened(open, { max: 2 })
      const fast = () => one.query('select $1::int', [1])
      const sleep = (seconds: number) => one.query('select pg_sleep($1)', [seconds])
      await Promise.all([sleep(0.1), sleep(0.1)])
      await Promise.all([fast(), fast()])

      const slow = sleep(1)
      await outcome(slow, 50)
      const started = performance.now()
      await Promise.all(Array.from({ length: 20 }, fast))

      expect(performance.now() - started).toBeGreaterThan(700)
      await slow
    },
  )

  test('postgres.js loses the slot of a statement that was cancelled during connecting', async () => {
    await using proxy = await proxyTo(serverPort())
    proxy.behaviour.delayMs = 300
    await using one = await opened(postgresJs, { port: proxy.port })

    const cancelled = one.query('select 1')
    await outcome(cancelled, 100)
    cancelled.cancel()
    await outcome(cancelled)

    expect(await outcome(one.query('select 1'))).toBe('pending')
  })

  test('postgres.js gives empty rows to the statement after an error between rows', async () => {
    await using one = await opened(postgresJs)
    const ending = 'select 10 / ($1::int - n) from generate_series(1, 5) as n'
    const find = () => one.query('select $1::int as n', [1])
    await one.query(ending, [9])
    await find()

    await outcome(one.query(ending, [3]))

    expect([...(await find())]).toEqual([undefined, undefined, { n: 1 }])
  })

  test('postgres.js hangs for good after kills of backends under load', async () => {
    expect(await hangsAfterKills(postgresJs, 1_000)).toBe(true)
  }, 120_000)

  test('Bun.SQL survives kills of backends under load', async () => {
    expect(await hangsAfterKills(bunSql, 100)).toBe(false)
  }, 60_000)

  test('Bun.SQL encodes JSON text twice', async () => {
    await using one = await opened(bunSql)

    const [row] = await one.query('select jsonb_typeof($1::jsonb) as type', ['{"a":1}'])
    expect(row).toEqual({ type: 'string' })
  })
})
