import { describe, expect, test } from 'bun:test'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { openRateLimitStore } from '../../src/rate-limit/open-store.ts'
import { createPostgresStore } from '../../src/rate-limit/postgres.ts'
import { createRedisStore } from '../../src/rate-limit/redis.ts'
import { type RateLimitStore, RateLimitStoreUnavailable } from '../../src/rate-limit/store.ts'
import { proxyTo } from '../support/proxy.ts'
import { freePort, hasRedis, redisServer } from '../support/redis.ts'

const minute = 60_000
/** Longer than a pause of a busy machine: a late response must not look like a missing one. */
const timeoutMs = 1_500
const soonMs = timeoutMs + 10_000

/** The count, or the code of the error; `hung` if neither comes in time. */
const outcome = async (
  rateLimitStore: RateLimitStore,
  key = 'user:ada',
): Promise<number | string> => {
  const late = Promise.withResolvers<string>()
  const timer = setTimeout(() => late.resolve('hung'), soonMs)
  const counted = (async () => {
    try {
      return (await rateLimitStore.add(key, minute, 10)).count
    } catch (error) {
      expect(error).toBeInstanceOf(RateLimitStoreUnavailable)
      return (error as RateLimitStoreUnavailable).code
    }
  })()
  return Promise.race([counted, late.promise]).finally(() => clearTimeout(timer))
}

/** Polls until the store counts again. Until then it refuses and does not hang. */
const recovered = async (rateLimitStore: RateLimitStore, key?: string) => {
  for (;;) {
    const result = await outcome(rateLimitStore, key)
    if (typeof result === 'number') return result
    expect(result).not.toBe('hung')
    await Bun.sleep(5)
  }
}

const peer = (open: (socket: Bun.Socket) => void) =>
  Bun.listen({ hostname: '127.0.0.1', port: 0, socket: { data: () => {}, open } })

const redisAt = (port: number) => createRedisStore({ url: `redis://127.0.0.1:${port}`, timeoutMs })

describe('a server that is not Redis', () => {
  test('that does not listen is unreachable, also for 200 concurrent requests', async () => {
    const rateLimitStore = redisAt(freePort())

    const outcomes = await Promise.all(Array.from({ length: 200 }, () => outcome(rateLimitStore)))

    expect(new Set(outcomes)).toEqual(new Set(['unreachable']))
  })

  test('that accepts and closes does not cause a connect loop', async () => {
    let calls = 0
    using closing = peer((socket) => {
      calls++
      socket.end()
    })
    const rateLimitStore = redisAt(closing.port)

    const before = performance.now()
    while (performance.now() - before < 500)
      expect(await outcome(rateLimitStore)).toBe('unreachable')

    expect(calls).toBeWithin(1, 10)
  })

  test('that accepts and is silent is an error at the deadline, for every request', async () => {
    using silent = peer(() => {})
    const rateLimitStore = redisAt(silent.port)

    const outcomes = await Promise.all(Array.from({ length: 50 }, () => outcome(rateLimitStore)))

    expect(outcomes.filter((code) => code !== 'deadline' && code !== 'unreachable')).toEqual([])
  })

  test('that speaks another protocol is unreachable', async () => {
    using web = peer((socket) => void socket.write('HTTP/1.1 400 Bad Request\r\n\r\n'))

    expect(await outcome(redisAt(web.port))).toBe('unreachable')
  })
})

describe.skipIf(!hasRedis)('Redis', () => {
  test('can start after the service', async () => {
    await using server = await redisServer()
    await server.stop()
    const rateLimitStore = redisAt(server.port)
    expect(await outcome(rateLimitStore)).toBe('unreachable')

    await server.start()

    expect(await recovered(rateLimitStore)).toBe(1)
    await rateLimitStore.close()
  })

  test.each(['SIGKILL', 'SIGTERM'] as const)(
    'that goes by %s and comes back is found again, without one request that hangs',
    async (signal) => {
      await using server = await redisServer()
      const rateLimitStore = redisAt(server.port)
      expect(await outcome(rateLimitStore)).toBe(1)

      for (let time = 0; time < 3; time++) {
        await server.stop(signal)
        const outcomes = await Promise.all(
          Array.from({ length: 20 }, () => outcome(rateLimitStore)),
        )
        expect(new Set(outcomes)).toEqual(new Set(['unreachable']))
        await server.start()
        expect(await recovered(rateLimitStore)).toBe(1)
      }
      await rateLimitStore.close()
    },
  )

  test('that closes an idle connection costs no request', async () => {
    await using server = await redisServer()
    const rateLimitStore = redisAt(server.port)
    await outcome(rateLimitStore)
    const admin = server.client()
    let closed = 0
    while (closed < 1)
      closed = await admin.send('CLIENT', ['KILL', 'TYPE', 'normal', 'SKIPME', 'yes'])
    // The closing of the connection arrives before these responses.
    for (let time = 0; time < 2; time++) await admin.send('PING', [])

    expect(await outcome(rateLimitStore)).toBe(2)
    await rateLimitStore.close()
  })

  test('that freezes is an error at the deadline, and counts again afterwards', async () => {
    await using server = await redisServer()
    const rateLimitStore = redisAt(server.port)
    expect(await outcome(rateLimitStore)).toBe(1)
    server.signal('SIGSTOP')

    for (let time = 0; time < 3; time++)
      expect(['deadline', 'unreachable']).toContain(String(await outcome(rateLimitStore)))
    server.signal('SIGCONT')

    expect(await recovered(rateLimitStore)).toBeGreaterThan(1)
    await rateLimitStore.close()
  })

  test('is asked on a new connection after a lost response: no response goes to the wrong key', async () => {
    await using server = await redisServer()
    await using proxy = await proxyTo(server.port)
    const rateLimitStore = redisAt(proxy.port)
    for (let time = 1; time <= 5; time++) expect(await outcome(rateLimitStore)).toBe(time)

    proxy.freeze()
    expect(await outcome(rateLimitStore)).toBe('deadline')
    proxy.thaw()

    expect(await recovered(rateLimitStore, 'user:bob')).toBe(1)
    expect(await recovered(rateLimitStore)).toBeWithin(6, 8)
    await rateLimitStore.close()
  })

  test('that is full is an error for new keys, and no request passes uncounted', async () => {
    await using server = await redisServer('--maxmemory-policy', 'noeviction')
    const rateLimitStore = redisAt(server.port)
    expect(await outcome(rateLimitStore)).toBe(1)
    const admin = server.client()
    await admin.send('CONFIG', ['SET', 'maxmemory', '1mb'])

    expect(await outcome(rateLimitStore, 'user:bob')).toBe('OOM')
    await admin.send('CONFIG', ['SET', 'maxmemory', '0'])
    expect(await outcome(rateLimitStore, 'user:bob')).toBe(1)
    await rateLimitStore.close()
  })

  test('that became a replica is an error, and is connected again', async () => {
    await using server = await redisServer()
    const rateLimitStore = redisAt(server.port)
    expect(await outcome(rateLimitStore)).toBe(1)
    const admin = server.client()
    const connections = async () =>
      Number(/total_connections_received:(\d+)/.exec(await admin.send('INFO', ['stats']))?.[1])
    await admin.send('REPLICAOF', ['127.0.0.1', String(freePort())])
    const before = await connections()

    expect(await outcome(rateLimitStore)).toBe('READONLY')
    await admin.send('REPLICAOF', ['NO', 'ONE'])
    expect(await recovered(rateLimitStore)).toBe(2)
    expect(await connections()).toBe(before + 1)
    await rateLimitStore.close()
  })

  test('has user, password and database in the URL, and errors contain none of them', async () => {
    await using server = await redisServer('--requirepass', 'm@ster/key')
    const admin = server.client(`:${encodeURIComponent('m@ster/key')}@`)
    await admin.send('ACL', ['SETUSER', 'ada', 'on', '>s3cret @/%', '~taskwarden:*', '+@all'])
    const at = (login: string) =>
      createRedisStore({ url: `redis://${login}@127.0.0.1:${server.port}/3`, timeoutMs })

    expect(await outcome(at(`ada:${encodeURIComponent('s3cret @/%')}`))).toBe(1)
    await admin.send('SELECT', ['3'])
    expect(await admin.send('KEYS', ['*'])).toEqual(['taskwarden:user:ada'])

    const wrong = at('ada:wr0ng')
    const error = await Promise.resolve(wrong.add('user:canary', minute, 10)).catch(
      (error) => error,
    )
    expect(error).toBeInstanceOf(RateLimitStoreUnavailable)
    expect(Bun.inspect(error)).not.toMatch(/wr0ng|canary|taskwarden:/)
  })

  test('with rediss:// requires a valid certificate', async () => {
    const folder = mkdtempSync(join(tmpdir(), 'taskwarden-tls-'))
    const certificate = join(folder, 'cert.pem')
    const key = join(folder, 'key.pem')
    const made = Bun.spawnSync([
      ...['openssl', 'req', '-x509', '-newkey', 'rsa:2048', '-nodes', '-days', '2'],
      ...['-subj', '/CN=localhost', '-addext', 'subjectAltName=DNS:localhost'],
      ...['-keyout', key, '-out', certificate],
    ])
    expect(made.exitCode).toBe(0)
    const tlsPort = freePort()
    await using _server = await redisServer(
      ...['--tls-port', String(tlsPort), '--tls-auth-clients', 'no'],
      ...['--tls-cert-file', certificate, '--tls-key-file', key, '--tls-ca-cert-file', certificate],
    )
    // A new process, because the certificate store is read at start.
    const ask = async (host: string, env: Record<string, string>) => {
      const program = `
        import { createRedisStore } from '${join(import.meta.dir, '../../src/rate-limit/redis.ts')}'
        const counters = createRedisStore({ url: 'rediss://${host}:${tlsPort}', timeoutMs: 10_000 })
        console.log(await counters.add('user:ada', 60000, 10).then(({ count }) => count, ({ code }) => code))
        process.exit(0)`
      const child = Bun.spawn([process.execPath, '-e', program], {
        env: { PATH: process.env.PATH ?? '', ...env },
      })
      return (await child.stdout.text()).trim()
    }

    expect(await ask('localhost', {})).toBe('unreachable')
    expect(await ask('localhost', { NODE_EXTRA_CA_CERTS: certificate })).toBe('1')
    expect(await ask('127.0.0.1', { NODE_EXTRA_CA_CERTS: certificate })).toBe('unreachable')
    rmSync(folder, { recursive: true })
  })

  test('does not count after close', async () => {
    await using server = await redisServer()
    const rateLimitStore = redisAt(server.port)
    await outcome(rateLimitStore)

    await rateLimitStore.close()

    expect(await outcome(rateLimitStore)).toBe('closed')
  })
})

describe('PostgreSQL', () => {
  const at = (port: number, timeoutMs?: number) =>
    openRateLimitStore(
      {
        kind: 'postgres',
        url: `postgres://a:s3cret@127.0.0.1:${port}/a`,
        prepare: 'auto',
      },
      timeoutMs,
    )

  test('that does not listen, or is silent, is an error at the deadline without details', async () => {
    using silent = peer(() => {})

    for (const [port, code] of [
      [freePort(), 'ECONNREFUSED'],
      [silent.port, 'deadline'],
    ] as const) {
      const rateLimitStore = at(port)
      const before = performance.now()
      const error = await Promise.resolve(rateLimitStore.add('user:canary', minute, 10)).catch(
        (error) => error,
      )
      expect(error).toBeInstanceOf(RateLimitStoreUnavailable)
      expect(error.code).toBe(code)
      expect(performance.now() - before).toBeLessThan(5_000)
      expect(Bun.inspect(error)).not.toMatch(/s3cret|canary|insert/)
      await rateLimitStore.close()
    }
  })

  test('has 4 connections, for any number of keys', async () => {
    let calls = 0
    using silent = peer(() => void calls++)
    const rateLimitStore = at(silent.port, 60_000)

    const outcomes = Array.from({ length: 20 }, (_, at) => outcome(rateLimitStore, `user:${at}`))
    while (calls < 4) await Bun.sleep(5)
    await Bun.sleep(100)

    expect(calls).toBe(4)
    silent.stop(true)
    await Promise.all(outcomes)
    await rateLimitStore.close()
  })

  test('that is silent is an error at one deadline for all requests of a key', async () => {
    using silent = peer(() => {})
    const rateLimitStore = at(silent.port, timeoutMs)
    const before = performance.now()

    const outcomes = await Promise.all(Array.from({ length: 50 }, () => outcome(rateLimitStore)))

    expect(new Set(outcomes)).toEqual(new Set(['deadline']))
    expect(performance.now() - before).toBeLessThan(1.9 * timeoutMs)
    await rateLimitStore.close()
  })

  test('counts waiting requests of a key in one statement, and a failed statement fails only its own requests', async () => {
    const sent = Array.from({ length: 3 }, () => Promise.withResolvers<{ count: number }[]>())
    const sizes: unknown[] = []
    const rateLimitStore = createPostgresStore({
      run: async (_, [, , by]) => {
        sizes.push(by)
        return (await sent[sizes.length - 1]?.promise) ?? []
      },
      close: async () => {},
    })
    const outcomes = Array.from({ length: 4 }, () => outcome(rateLimitStore))

    sent[0]?.resolve([{ count: 7 }])
    expect(await outcomes[0]).toBe(7)
    const late = outcome(rateLimitStore)
    sent[1]?.reject(Object.assign(new Error(), { code: '57P01' }))
    expect(await Promise.all(outcomes.slice(1))).toEqual(['57P01', '57P01', '57P01'])
    sent[2]?.resolve([{ count: 11 }])

    expect(await late).toBe(11)
    expect(sizes).toEqual([1, 3, 1])
  })

  // A direct connection: a pooler hides which connection belongs to which client.
  const serverUrl = process.env.TEST_DIRECT_DATABASE_URL ?? process.env.TEST_DATABASE_URL
  test.skipIf(!serverUrl)('counts again at once after its backends are killed', async () => {
    const { default: postgres } = await import('postgres')
    const { database } = await import('../support/service.ts')
    await database()
    const url = new URL(serverUrl ?? '')
    const mine = `killed ${Bun.randomUUIDv7()}`
    url.searchParams.set('application_name', mine)
    const rateLimitStore = openRateLimitStore({ kind: 'postgres', url: url.href, prepare: 'auto' })
    const admin = postgres(serverUrl ?? '', { max: 1, onnotice: () => {} })
    const key = `user:${mine}`
    expect(await outcome(rateLimitStore, key)).toBe(1)

    for (let time = 0; time < 20; time++) {
      const load = Array.from({ length: 10 }, () => outcome(rateLimitStore, key))
      await admin`select pg_terminate_backend(pid) from pg_stat_activity where application_name = ${mine}`
      expect(await Promise.all(load)).not.toContain('hung')
    }
    expect(await recovered(rateLimitStore, key)).toBeGreaterThan(1)
    await rateLimitStore.close()
    await admin.end()
  })
})
