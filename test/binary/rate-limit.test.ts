import { afterAll, describe, expect, test } from 'bun:test'
import { hasRedis, redisServer } from '../support/redis.ts'
import { cleanUp, embedded, onPostgres, start } from './process.ts'

afterAll(cleanUp)

const serverUrl = process.env.TEST_DATABASE_URL

/** Polls until a request has this status: the service notices a change of the store at the next request. */
const until = async (ask: () => Promise<{ status: number }>, status: number) => {
  while ((await ask()).status !== status) await Bun.sleep(20)
}

describe.skipIf(!hasRedis)('over Redis', () => {
  test('while Redis is down, every counted response is 503 and the service is not ready; afterwards it recovers', async () => {
    await using redis = await redisServer()
    const settings = { ...(await embedded()), RATE_LIMIT_STORE: 'redis', REDIS_URL: redis.url }
    const service = await start(settings)
    const { token } = await service.someone()
    const list = () => service.call('GET', '/api/tasks', { token })
    expect((await list()).status).toBe(200)
    expect((await service.call('GET', '/ready')).status).toBe(200)

    await redis.stop()
    for (const path of ['/api/tasks', '/nothing']) {
      const refused = await service.call('GET', path, { token })
      expect([refused.status, refused.body.code]).toEqual([503, 'unavailable'])
      expect(refused.headers.get('retry-after')).toBe('1')
    }
    expect((await service.call('GET', '/ready')).status).toBe(503)
    expect((await service.call('GET', '/health')).status).toBe(200)
    expect(await service.logged('unavailable')).toMatchObject({
      error: 'RateLimitStoreUnavailable',
      code: 'unreachable',
    })

    await redis.start()
    await until(list, 200)
    await until(() => service.call('GET', '/ready'), 200)
    expect(await service.stop()).toBe(0)
  }, 30_000)

  test('if Redis is down at start, the service runs and is not ready until it is up', async () => {
    await using redis = await redisServer()
    await redis.stop()
    const settings = { ...(await embedded()), RATE_LIMIT_STORE: 'redis', REDIS_URL: redis.url }

    const service = await start(settings)
    expect((await service.call('GET', '/ready')).status).toBe(503)
    await redis.start()
    await until(() => service.call('GET', '/ready'), 200)

    expect(await service.stop()).toBe(0)
  }, 30_000)
})

describe.skipIf(!serverUrl)('two processes on PostgreSQL', () => {
  const kinds = [
    ['postgres', async () => ({ settings: {}, [Symbol.asyncDispose]: async () => {} })],
    [
      'redis',
      async () => {
        const redis = await redisServer()
        const dispose = () => redis[Symbol.asyncDispose]()
        return { settings: { REDIS_URL: redis.url }, [Symbol.asyncDispose]: dispose }
      },
    ],
  ] as const

  test.each(kinds)(
    'share their limits in %s, also across a restart',
    async (store, open) => {
      await using opened = await open()
      const settings = {
        ...(await onPostgres()),
        ...opened.settings,
        RATE_LIMIT_STORE: store,
        RATE_LIMIT: '20',
      }
      const [one, two] = [await start(settings), await start(settings)]
      const { token } = await one.someone()
      const ask = ({ call }: Pick<typeof one, 'call'>, times: number) =>
        Promise.all(
          Array.from(
            { length: times },
            async () => (await call('GET', '/api/tasks', { token })).status,
          ),
        )

      const before = await Promise.all([ask(one, 6), ask(two, 6)])
      expect(before.flat()).toEqual(Array(12).fill(200))
      await one.stop()
      const again = await start(settings)
      const after = await Promise.all([ask(again, 20), ask(two, 20)])

      expect(after.flat().filter((status) => status === 200)).toHaveLength(8)
      expect(after.flat().filter((status) => status === 429)).toHaveLength(32)
      expect([await again.stop(), await two.stop()]).toEqual([0, 0])
    },
    30_000,
  )
})
