import { afterEach, describe, expect, setSystemTime, test } from 'bun:test'
import { stores } from '../support/rate-limit-stores.ts'

afterEach(() => void setSystemTime())

const minute = 60_000
const limit = 10

describe.each(Object.entries(stores))('%s', (name, open) => {
  const shared = name !== 'memory'

  /** The counters of one instance, and the count of a key after more requests. */
  const rateLimitStore = async () => {
    const store = await open()
    const mine = store.open()
    const add = async (key: string, { times = 1, windowMs = minute } = {}) => {
      let count = 0
      for (let time = 0; time < times; time++) ({ count } = await mine.add(key, windowMs, limit))
      return count
    }
    return { store, mine, add }
  }

  test('a window starts with the first request, counts past the limit, and ends', async () => {
    const { store, mine, add } = await rateLimitStore()
    const leftMs = async () => (await mine.add('user:ada', minute, limit)).resetsAt - Date.now()

    expect(await leftMs()).toBeWithin(minute / 2, minute + 1)
    await store.pass(minute - 20_000)
    expect(await leftMs()).toBeWithin(1, 20_001)
    expect(await add('user:ada', { times: 18 })).toBe(20)
    await store.pass(20_000)
    expect(await leftMs()).toBeWithin(minute / 2, minute + 1)
    expect(await add('user:ada')).toBe(2)
  })

  test('requests past the limit do not extend the window', async () => {
    const { store, add } = await rateLimitStore()
    await add('user:ada', { times: 12 })
    for (let time = 0; time < 5; time++) {
      await store.pass(minute / 6)
      await add('user:ada')
    }

    await store.pass(minute / 6)

    expect(await add('user:ada')).toBe(1)
  })

  test('keys do not share counts or windows', async () => {
    const { store, add } = await rateLimitStore()
    await add('user:ada', { times: 3, windowMs: 2 * minute })

    expect(await add('user:bob')).toBe(1)
    expect(await add('address:ada')).toBe(1)
    await store.pass(minute)
    expect(await add('user:bob')).toBe(1)
    expect(await add('user:ada')).toBe(4)
  })

  test('a returned request is not counted in the same window', async () => {
    const { store, mine, add } = await rateLimitStore()
    await add('user:ada', { times: 2 })
    await store.pass(minute / 2)

    await mine.decrement('user:ada')

    const { count, resetsAt } = await mine.add('user:ada', minute, limit)
    expect(count).toBe(2)
    expect(resetsAt - Date.now()).toBeWithin(1, minute / 2 + 1)
  })

  test('no count falls below zero, and a count of zero keeps its window', async () => {
    const { store, mine, add } = await rateLimitStore()
    await add('user:ada')
    await store.pass(minute / 2)

    for (let time = 0; time < 3; time++) await mine.decrement('user:ada')
    await mine.decrement('user:absent')

    expect(await add('user:ada')).toBe(1)
    expect(await add('user:absent')).toBe(1)
    await store.pass(minute / 2)
    expect(await add('user:ada')).toBe(1)
    expect(await add('user:absent')).toBe(2)
  })

  test('a request of one window is not returned in the next', async () => {
    const { store, mine, add } = await rateLimitStore()
    await add('user:ada', { times: 3 })
    await store.pass(minute)

    await mine.decrement('user:ada')

    expect(await add('user:ada', { times: 2 })).toBe(2)
  })

  test('a reset key starts a new window', async () => {
    const { store, mine, add } = await rateLimitStore()
    await add('user:ada', { times: 20 })

    await mine.reset('user:ada')
    await mine.reset('user:absent')

    expect(await add('user:ada', { windowMs: 2 * minute })).toBe(1)
    await store.pass(minute)
    expect(await add('user:ada')).toBe(2)
  })

  test('windows and keys can have every length that settings and clients allow', async () => {
    const { mine } = await rateLimitStore()
    const day = 86_400_000

    for (const key of [`address:${'f'.repeat(2000)}`, `address:'"\\ \r\n{}é`]) {
      const { count, resetsAt } = await mine.add(key, day, limit)
      expect(count).toBe(1)
      expect(resetsAt - Date.now()).toBeWithin(day - minute, day + 1)
    }
  })

  test('500 concurrent requests over three instances get different counts', async () => {
    const store = await open()
    const three = [store.open(), store.open(), store.open()]

    const counts = await Promise.all(
      Array.from(
        { length: 500 },
        async (_, at) => (await three[at % 3]!.add('user:ada', minute, 100)).count,
      ),
    )

    expect(counts.toSorted((a, b) => a - b)).toEqual(Array.from({ length: 500 }, (_, at) => at + 1))
    expect(counts.filter((count) => count <= 100)).toHaveLength(100)
    await Promise.all(three.map((one) => one.close()))
  })

  const testOfShared = shared ? test : () => {}
  testOfShared('an instance that starts in mid-window goes on with the count', async () => {
    const { store, mine, add } = await rateLimitStore()
    await add('user:ada', { times: 7 })
    await store.pass(minute / 2)
    await mine.close()

    const { count, resetsAt } = await store.open().add('user:ada', minute, limit)

    expect(count).toBe(8)
    expect(resetsAt - Date.now()).toBeWithin(1, minute / 2 + 1)
  })

  // PGlite uses the clock of this process.
  const testOfOtherClock = name === 'postgres' || name === 'redis' ? test : () => {}
  testOfOtherClock(
    'instances with different clocks share windows, and each gets the rest by its own clock',
    async () => {
      const { store, mine } = await rateLimitStore()
      const real = Date.now()

      for (const [at, skewMs] of [0, 10 * minute, -10 * minute, 365 * 1440 * minute].entries()) {
        setSystemTime(real + skewMs)
        const { count, resetsAt } = await mine.add('user:ada', minute, limit)
        expect(count).toBe(at + 1)
        expect(resetsAt - Date.now()).toBeWithin(minute / 2, minute + 1)
      }
      await store.pass(minute)
      expect((await mine.add('user:ada', minute, limit)).count).toBe(1)
    },
  )

  // On a busy machine, PGlite takes half a minute for the statements of PostgreSQL.
  const testOfMany = name === 'postgres, embedded' ? () => {} : test
  testOfMany('10 000 other keys evict no key over its limit', async () => {
    const { add } = await rateLimitStore()
    await add('address:spent', { times: limit })
    await add('address:once')

    for (let at = 0; at < 10_000; at += 100)
      await Promise.all(Array.from({ length: 100 }, (_, next) => add(`address:${at + next}`)))

    expect(await add('address:spent')).toBe(limit + 1)
    expect(await add('address:once')).toBe(2)
    expect(await add('address:0')).toBe(2)
  })

  testOfShared('what has expired is removed, and nothing else', async () => {
    const { store, add } = await rateLimitStore()
    for (let at = 0; at < 1100; at++) await add(`address:${at}`)
    await add('user:ada', { windowMs: 10 * minute })

    await store.pass(minute)
    // An instance deletes expired keys after counting, and not after each count.
    const afterWindows = performance.now() + 3 * minute
    const now = performance.now
    performance.now = () => afterWindows
    await add('user:bob')
    performance.now = now

    while ((await store.keys()).length > 2) await Bun.sleep(5)
    expect((await store.keys()).toSorted()).toEqual(['user:ada', 'user:bob'])
    expect(await add('user:ada')).toBe(2)
  })
})
