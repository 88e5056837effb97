import { afterAll, describe, expect, test } from 'bun:test'
import { connect, type Socket } from 'node:net'
import { openStream } from '../support/event-stream.ts'
import { hasRedis, redisServer } from '../support/redis.ts'
import { cleanUp, kinds, onPostgres, patience, type RunningService, start } from './process.ts'

afterAll(cleanUp)

const metrics = { METRICS_TOKEN: 'a token that is long enough'.replaceAll(' ', '-') }
const many = { LOGIN_ATTEMPTS_PER_ADDRESS: '10000', RATE_LIMIT: '100000' }

/** The event stream of a process, over a socket. */
const streamOf = ({ origin }: RunningService, token: string, query = '') => {
  const overSocket = (request: Request) =>
    fetch(request.url.replace('http://localhost', origin), { headers: request.headers })
  return openStream({ fetch: overSocket }, { token, query })
}

const openCount = async ({ call }: RunningService): Promise<number> => {
  const { text } = await call('GET', '/metrics', { token: metrics.METRICS_TOKEN })
  return Number(/^taskwarden_streams_open (\d+)$/m.exec(text)?.[1])
}
const untilOpen = async (here: RunningService, count: number) => {
  while ((await openCount(here)) !== count) await Bun.sleep(20)
}

/** A connection that has requested a stream, and reads nothing itself. */
const rawStream = ({ port }: RunningService, token: string): Promise<Socket> =>
  new Promise((resolve, reject) => {
    const socket = connect(port, '127.0.0.1', () => {
      const head = [
        'GET /api/tasks/events HTTP/1.1',
        'Host: localhost',
        `Authorization: Bearer ${token}`,
      ]
      socket.write(`${head.join('\r\n')}\r\n\r\n`, () => resolve(socket))
    })
    socket.on('error', reject)
  })

describe.each([...kinds])('on %s', (_, database) => {
  test('a thousand clients that go away are released, whether they close or reset', async () => {
    const here = await start({ ...(await database()), ...metrics, ...many })
    const sockets: Socket[] = []
    for (let n = 0; n < 100; n++) {
      const { token } = await here.someone()
      sockets.push(...(await Promise.all(Array.from({ length: 10 }, () => rawStream(here, token)))))
    }
    for (const socket of sockets) socket.resume()
    await untilOpen(here, 1000)
    for (const [n, socket] of sockets.entries()) n % 2 ? socket.resetAndDestroy() : socket.destroy()
    await untilOpen(here, 0)
    expect(await here.stop()).toBe(0)
  }, 120_000)

  test('a client that does not read is disconnected, and memory stays bounded', async () => {
    const here = await start({ ...(await database()), ...metrics, ...many })
    const { token } = await here.someone()
    const socket = await rawStream(here, token)
    socket.pause()
    await untilOpen(here, 1)
    const closed = new Promise((resolve) => socket.once('close', resolve))
    const tasks = Array.from({ length: 1000 }, () => ({
      title: 'x',
      description: 'x'.repeat(9000),
    }))
    // More than the buffers of the kernel take.
    for (let n = 0; n < 3; n++) {
      const { status } = await here.call('POST', '/api/tasks/import', { token, body: { tasks } })
      expect(status).toBe(200)
    }
    await untilOpen(here, 0)
    const rss = Number(
      /^VmRSS:\s+(\d+)/m.exec(await Bun.file(`/proc/${here.child.pid}/status`).text())?.[1],
    )
    expect(rss).toBeLessThan(900_000)
    socket.destroy()
    await closed
    expect(await here.stop()).toBe(0)
  }, 180_000)

  test('a request may wait for 30 seconds, and a stream outlives the idle timeout', async () => {
    const here = await start({ ...(await database()), ...many })
    const { token } = await here.someone()
    const { body } = await here.call('GET', '/api/tasks/changes', { token })
    const stream = await streamOf(here, token)
    const waited = await here.call('GET', `/api/tasks/changes?since=${body.next}&wait=30`, {
      token,
    })
    expect([waited.status, waited.body]).toEqual([200, body])
    await Bun.sleep(5000)
    // Two to keep it alive, and the padding of the first event.
    expect(stream.comments()).toBe(3)
    await here.call('POST', '/api/tasks', { token, body: { title: 'a' } })
    await stream.until(2)
    expect(stream.events[1]?.data.title).toBe('a')
    await stream.close()
    expect(await here.stop()).toBe(0)
  }, 120_000)

  test(
    'a stop ends the streams and the requests that wait',
    async () => {
      const here = await start({ ...(await database()), DRAIN_MS: '300' })
      const { token } = await here.someone()
      const stream = await streamOf(here, token)
      const { body } = await here.call('GET', '/api/tasks/changes', { token })
      const waiting = here.call('GET', `/api/tasks/changes?since=${body.next}&wait=30`, { token })
      await stream.until(1)
      const stopped = here.stop()
      await stream.ended()
      expect(stream.events.at(-1)?.data).toEqual({ code: 'draining' })
      expect((await waiting).status).toBe(200)
      expect(await stopped).toBe(0)
    },
    patience,
  )
})

const between: [
  string,
  () => Promise<{ env: Record<string, string>; stop: () => Promise<unknown> }>,
][] = [
  ['PostgreSQL', async () => ({ env: {}, stop: async () => {} })],
  [
    'Redis',
    async () => {
      const redis = await redisServer()
      return { env: { REDIS_URL: redis.url }, stop: () => redis.stop() }
    },
  ],
]

describe.skipIf(process.env.TEST_DATABASE_URL === undefined)('two processes', () => {
  for (const [name, open] of between)
    test.skipIf(name === 'Redis' && !hasRedis)(
      `tell each other of changes and ended sessions through ${name}, also after a kill`,
      async () => {
        const { env, stop } = await open()
        const settings = { ...(await onPostgres()), ...many, ...env }
        const [writer, reader] = [await start(settings), await start(settings)]
        const { token } = await writer.someone()
        const stream = await streamOf(reader, token)
        await stream.until(1)
        const times: number[] = []
        for (let n = 0; n < 20; n++) {
          const startedAt = performance.now()
          await writer.call('POST', '/api/tasks', { token, body: { title: `${n}` } })
          await stream.until(n + 2)
          times.push(performance.now() - startedAt)
          await Bun.sleep(150)
        }
        expect(stream.events.slice(1).map(({ data }) => data.title)).toEqual(
          Array.from({ length: 20 }, (_, n) => `${n}`),
        )
        // Far below the poll: the notifications arrived.
        expect(times.toSorted((a, b) => a - b)[10]).toBeLessThan(1000)

        // The notification is lost if the writer dies before it sends it. The poll finds the change.
        const last = writer.call('POST', '/api/tasks', { token, body: { title: 'last' } })
        await last.catch(() => {})
        await writer.stop('SIGKILL')
        await stream.until(22)
        expect(stream.events.at(-1)?.data.title).toBe('last')

        const third = await start(settings)
        await third.call('POST', '/api/auth/logout', { token })
        await stream.ended()
        expect(stream.events.at(-1)?.data).toEqual({ code: 'session-ended' })
        await Promise.all([third.stop(), reader.stop(), stop()])
      },
      patience,
    )
})
