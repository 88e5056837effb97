import { describe, expect, test } from 'bun:test'
import { openConnection, pipelinedReadsMax } from '../../../src/db/pool/connection.ts'
import { parseConnectionUrl } from '../../../src/db/pool/connection-url.ts'
import { createDeadline } from '../../../src/db/pool/deadline.ts'
import { createPipeline } from '../../../src/db/pool/pipeline.ts'
import { createPool } from '../../../src/db/pool/pool.ts'
import { onPostgres, serverUrl, until } from '../../support/databases.ts'

const options = { prepare: true, simple: false }
type Values = (number | string)[]

/** A pool on its own database with a table of 100 rows, and a function that reads one. */
const pooled = async ({
  max = 1,
  timeoutMs = 20_000,
  query = '',
  prepare = 'auto' as 'auto' | boolean,
} = {}) => {
  const one = await onPostgres()
  const { database, url, open, ...rest } = one
  const target = parseConnectionUrl(`${url}${query}`)
  const pool = createPool({ target, max, timeoutMs, prepare, configure: () => {} })
  const alone = (text: string, ...values: Values) =>
    pool.run<unknown[][]>((sql) => sql.unsafe(text, values, options).values())
  const quick = (text: string, ...values: Values) =>
    pool.run<unknown[][]>((sql) => sql.unsafe(text, values, options).values(), { quickRead: text })
  await alone('create table rows as select n, n as v from generate_series(1, 100) as n')

  return {
    ...rest,
    pool,
    alone,
    quick,
    find: async (n: number) => (await quick('select v from rows where n = $1', n))[0]?.[0],
    /** A statement that sleeps, with a unique text. */
    sleep: (seconds: number) => quick('select pg_sleep($1)', seconds),
    /** Makes every connection prepare these statements. */
    warm: async (...reads: (() => Promise<unknown>)[]) => {
      for (const read of reads) await Promise.all(Array.from({ length: max }, read))
    },
    async [Symbol.asyncDispose]() {
      await pool.close()
      await one[Symbol.asyncDispose]()
    },
  }
}

/** The outcomes in the order of settlement. */
const inOrder = async (works: Record<string, Promise<unknown>>, order: string[] = []) => {
  await Promise.all(
    Object.entries(works).map(([name, work]) =>
      work.then(
        () => order.push(name),
        (error) => order.push(`${name}: ${error.code}`),
      ),
    ),
  )
  return order
}

/** The order of settlement, and which statements had settled when a number of them was still waiting. */
const whileWaiting = async (
  { state }: Pick<ReturnType<typeof createPool>, 'state'>,
  works: Record<string, Promise<unknown>>,
  [before, left]: [number, number],
) => {
  const order: string[] = []
  const ended = inOrder(works, order)
  expect(state().waiting).toBe(before)
  await until(async () => state().waiting === left)
  const first = [...order]
  return { first, all: await ended }
}

/** A pause of a busy machine would look like a slow database. */
const inOneInstant = <Result>(work: () => Result): Result => {
  const { now } = performance
  const instant = now.call(performance)
  performance.now = () => instant
  try {
    return work()
  } finally {
    performance.now = now
  }
}

const codeOf = (work?: Promise<unknown>) => work?.catch((error) => error.code)

/** A connection that is not opened and has prepared this statement. */
const preparedFor = (text: string) => {
  const target = parseConnectionUrl('postgres://a@127.0.0.1:1/a')
  const pace = async () => {}
  const opening = { target, parameters: {}, prepare: true, timeoutMs: 1, pace }
  const connection = openConnection(opening)
  connection.prepared.add(text)
  return connection
}

test('a connection that is due for renewal gets no further reads', () => {
  const { open, join, joinAny } = createPipeline({ offer: () => false, release: () => {} })
  const connection = preparedFor('select 1')
  const shared = open(connection)
  expect(inOneInstant(() => join(open(connection), 'select 1'))).toBe(true)

  connection.retireAt = performance.now()

  expect([join(shared, 'select 1'), joinAny('select 1')]).toEqual([false, undefined])
})

test('a connection without reads is no longer shared', async () => {
  const { open, read, joinUnwritten } = createPipeline({ offer: () => false, release: () => {} })
  const shared = open(preparedFor('select 1'))
  expect(inOneInstant(() => joinUnwritten('select 1'))).toBe(shared)

  const deadline = createDeadline(60_000)
  for (const _ of [1, 2]) await read(shared, () => Promise.resolve([]), deadline)
  deadline.clear()

  expect(inOneInstant(() => joinUnwritten('select 1'))).toBeUndefined()
})

test('without a free connection, a read joins the connection with the fewest reads', () => {
  const { open, joinAny } = createPipeline({ offer: () => false, release: () => {} })
  inOneInstant(() => {
    const [one, other] = [open(preparedFor('select 1')), open(preparedFor('select 1'))]
    for (let reads = 2; reads <= pipelinedReadsMax; reads++) {
      joinAny('select 1')
      joinAny('select 1')
      expect([one.reads, other.reads]).toEqual([reads, reads])
    }
    expect(joinAny('select 1')).toBeUndefined()
  })
})

describe.skipIf(!serverUrl)('pipelined reads', () => {
  test('a connection carries eight reads, and the ninth waits', async () => {
    await using one = await pooled()
    await one.warm(() => one.find(1))
    const all = [1, 2, 3, 4, 5, 6, 7, 8, 9]

    const found = inOneInstant(() => all.map(one.find))

    expect(one.pool.state()).toEqual({ max: 1, used: 1, waiting: 1 })
    expect(await Promise.all(found)).toEqual(all)
    expect(one.pool.state()).toEqual({ max: 1, used: 0, waiting: 0 })
  })

  test('reads of one event-loop turn share a connection, others use free connections', async () => {
    await using one = await pooled({ max: 4 })
    await one.warm(() => one.sleep(0.2))
    const works: Promise<unknown>[] = []
    const send = async (count: number) => {
      works.push(...inOneInstant(() => Array.from({ length: count }, () => one.sleep(0.5))))
      await new Promise(setImmediate)
      return one.pool.state()
    }

    expect(await send(2)).toMatchObject({ used: 1, waiting: 0 })
    expect(await send(10)).toMatchObject({ used: 3, waiting: 0 })
    expect(await send(1)).toMatchObject({ used: 4, waiting: 0 })
    await Promise.all(works)
  })

  test('a statement runs alone the first time on a connection', async () => {
    await using one = await pooled()

    const found = [one.find(1), one.find(2)]

    expect(one.pool.state().waiting).toBe(1)
    expect(await Promise.all(found)).toEqual([1, 2])
    const others = [one.find(3), one.sleep(0)]
    expect(one.pool.state().waiting).toBe(1)
    await Promise.all(others)
  })

  test('a write runs alone, and no later statement overtakes it', async () => {
    await using one = await pooled()
    await one.warm(() => one.find(1))

    const works = {
      'first read': one.find(1),
      write: one.alone('update rows set v = v + 1 where n = 2'),
      'second read': one.find(2),
      'third read': one.find(2),
    }

    expect(one.pool.state().waiting).toBe(3)
    expect(await inOrder(works)).toEqual(['first read', 'write', 'second read', 'third read'])
    expect(await works['third read']).toBe(3)
  })

  test('reads behind a write are admitted together, up to the next write', async () => {
    await using one = await pooled()
    await one.warm(() => one.sleep(0))

    const works = {
      write: one.alone('select pg_sleep(0.1)'),
      read: one.sleep(1.5),
      beside: one.sleep(0.1),
      'next write': one.alone('select 1'),
      'last read': one.sleep(0),
    }
    const all = Object.keys(works)
    expect(await whileWaiting(one.pool, works, [4, 2])).toEqual({ first: ['write'], all })
  })

  test('a waiting read is admitted when a response arrives', async () => {
    await using one = await pooled()
    await one.warm(() => one.sleep(0))

    const seconds = [0.1, 2, 0, 0, 0, 0, 0, 0, 0, 0]
    const works = Object.fromEntries(
      inOneInstant(() => seconds.map((each, at) => [at, one.sleep(each)])),
    )
    const all = Object.keys(works)
    expect(await whileWaiting(one.pool, works, [2, 1])).toEqual({ first: ['0'], all })
  })

  test('no read is sent behind a slow one', async () => {
    await using one = await pooled()
    await one.warm(
      () => one.sleep(0),
      () => one.find(1),
    )

    const slow = one.sleep(2)
    await Bun.sleep(100)
    const found = one.find(1)

    expect(one.pool.state().waiting).toBe(1)
    expect(await inOrder({ slow, found })).toEqual(['slow', 'found'])
  })

  test('a failed read gets its own error, and the others get their rows', async () => {
    await using one = await pooled()
    const divide = (by: number) => one.quick('select 100 / $1::int', by)
    await one.warm(
      () => one.find(1),
      () => divide(1),
    )

    const works = inOneInstant(() => [one.find(1), divide(0), one.find(2), divide(5)])

    expect(one.pool.state().waiting).toBe(0)
    expect(await Promise.all(works.map(codeOf))).toEqual([1, '22012', 2, [[20]]])
  })

  test('behind a statement that cannot be written, no read gets the rows of another', async () => {
    await using one = await pooled()
    const text = 'select $1::text, $2::timestamptz'
    const at = '2026-01-02T03:04:05Z'
    const named = async (name: string, time = at) => (await one.quick(text, name, time))[0]?.[0]
    await one.warm(() => named('Ada'))

    const names = ['Ada', 'Bob', 'Eve', 'Joe']
    const works = inOneInstant(() => names.map((name) => named(name, name === 'Bob' ? 'x' : at)))

    expect(one.pool.state().waiting).toBe(0)
    const [bob, ...others] = await Promise.all([1, 0, 2, 3].map((n) => codeOf(works[n])))
    expect(others).toEqual(['Ada', 'Eve', 'Joe'])
    expect(bob).not.toBe('Eve')
  })

  test('beside and behind a statement that fails amid its rows, rows are complete', async () => {
    await using one = await pooled()
    const ending = 'select 10 / ($1::int - n) from generate_series(1, 5) as n'
    await one.warm(
      () => one.find(1),
      () => one.quick(ending, 9),
    )

    expect(await codeOf(one.alone(ending, 3))).toBe('22012')
    expect(await one.alone('select 7')).toEqual([[7]])

    await one.warm(
      () => one.find(1),
      () => one.quick(ending, 9),
    )
    const works = inOneInstant(() => [one.find(1), one.quick(ending, 3), one.find(2), one.find(3)])
    expect(one.pool.state().waiting).toBe(0)
    expect(await Promise.all(works.map(codeOf))).toEqual([1, '22012', 2, 3])
  })

  test('a response after the deadline delays no other read', async () => {
    await using one = await pooled()
    await one.warm(() => one.sleep(0))
    const budget = { isLong: false, totalMs: 100, leftMs: 100 }
    const text = 'select pg_sleep($1)'

    const works = inOneInstant(() => [
      one.pool.run((sql) => sql.unsafe(text, [2], options).values(), {
        quickRead: text,
        budget,
      }),
      one.sleep(0.1),
    ])
    expect(await codeOf(works[0])).toBe('deadline')
    await works[1]

    expect(one.pool.state()).toEqual({ max: 1, used: 0, waiting: 0 })
  })

  test('no read gets the rows of another while plans become invalid', async () => {
    await using one = await pooled({ max: 2 })
    let over = false
    let wrong = 0
    let found = 0
    const reader = async (n: number) => {
      for (; !over; found++) if (Number(await one.find(n)) !== n) wrong++
    }

    const readers = Array.from({ length: 12 }, (_, at) => reader(at + 1))
    for (let round = 0; round < 40; round++) {
      const before = found
      const type = round % 2 ? 'int' : 'bigint'
      await one.admin.unsafe('select 1')
      await one.alone(`alter table rows alter v type ${type}`)
      await until(async () => found > before + 50)
    }
    over = true
    await Promise.all(readers)

    expect(wrong).toBe(0)
  }, 60_000)

  test('backends killed under load leave no read unsettled and no slot lost', async () => {
    await using one = await pooled({ max: 2 })
    let over = false
    let wrong = 0
    let found = 0
    const reader = async (n: number) => {
      while (!over)
        try {
          if ((await one.find(n)) !== n) wrong++
          found++
        } catch (error) {
          expect((error as { code: string }).code).toMatch(/^(57P01|CONNECTION_\w+|E[A-Z]+)$/)
        }
    }

    const readers = Array.from({ length: 12 }, (_, at) => reader(at + 1))
    for (let round = 0; round < 30; round++) {
      const before = found
      await until(async () => found > before + 20)
      await one.admin`select pg_terminate_backend(pid) from pg_stat_activity where datname = ${one.name}`
    }
    over = true
    await Promise.all(readers)

    expect(wrong).toBe(0)
    expect(one.pool.state()).toEqual({ max: 2, used: 0, waiting: 0 })
    expect(await Promise.all([1, 2, 3].map(one.find))).toEqual([1, 2, 3])
  }, 60_000)

  test('reads behind a statement that never ends are rejected at their deadlines, and the statement is cancelled', async () => {
    await using one = await pooled({ timeoutMs: 4_000 })
    await one.warm(
      () => one.sleep(0),
      () => one.find(1),
    )
    // Only the cancel request of the pool can stop it.
    await one.alone('set statement_timeout = 0')

    const works = inOneInstant(() => [one.sleep(60), one.find(1), one.find(2)])
    expect(one.pool.state().waiting).toBe(0)

    expect(await Promise.all(works.map(codeOf))).toEqual(['deadline', 'deadline', 'deadline'])
    await until(async () => one.pool.state().used === 0)
    const asleep = () =>
      one.admin`select from pg_stat_activity where datname = ${one.name} and query like '%pg_sleep%'`
    await until(async () => (await asleep()).length === 0)
    expect(await one.find(3)).toBe(3)
  }, 60_000)

  test.each([
    ['through a pooler', { query: '?pgbouncer=true' }],
    ['without prepared statements', { prepare: false }],
  ])('%s every statement runs alone', async (_, settings) => {
    await using one = await pooled(settings)
    await one.warm(() => one.find(1))

    const found = [one.find(1), one.find(2)]

    expect(one.pool.state().waiting).toBe(1)
    expect(await Promise.all(found)).toEqual([1, 2])
  })

  test('closing the pool rejects waiting statements and finishes running ones', async () => {
    await using one = await pooled()
    await one.warm(() => one.find(1))

    const all = [1, 2, 3, 4, 5, 6, 7, 8, 9]
    const works = inOneInstant(() => all.map((n) => codeOf(one.find(n))))
    await one.pool.close()

    expect(await Promise.all(works)).toEqual([1, 2, 3, 4, 5, 6, 7, 8, 'closed'])
  })
})
