import { describe, expect, test } from 'bun:test'
import {
  openChannel,
  type SupervisorFunctions,
  type WorkerFunctions,
} from '../../src/cli/workers/channel.ts'
import { createRestartPause } from '../../src/cli/workers/restart-pause.ts'
import { shareOf } from '../../src/cli/workers/share.ts'
import { createSupervisorStore } from '../../src/cli/workers/supervisor-store.ts'
import { readConfig } from '../../src/config/config.ts'
import { createEnvReader } from '../../src/config/environment.ts'
import { readWorkerCount } from '../../src/config/workers.ts'
import { RateLimitStoreUnavailable } from '../../src/rate-limit/store.ts'

/* The parts of WORKERS. `test/binary/workers.test.ts` has the processes. */

const postgres = {
  DATABASE_URL: 'postgres://db.example/tasks',
  JWT_SECRET: 'a secret that is long enough for the tests',
}

describe('the number of workers', () => {
  const read = (env: Record<string, string>, platform: NodeJS.Platform = 'linux') => {
    const reader = createEnvReader(env)
    const { database } = readConfig({ ...env, WORKERS: '1' })
    return { count: readWorkerCount(reader, database, platform), problems: reader.problems }
  }

  test('is one, unless it is set', () => {
    expect(read(postgres)).toEqual({ count: 1, problems: [] })
    expect(read({ ...postgres, WORKERS: '3' })).toEqual({ count: 3, problems: [] })
  })

  test('auto is at most the number of connections, and one where more are not possible', () => {
    const auto = { ...postgres, WORKERS: 'auto' }
    expect(read(auto).count).toBeWithin(1, 65)
    expect(read({ ...auto, DB_POOL_MAX: '1' })).toEqual({ count: 1, problems: [] })
    expect(read(auto, 'darwin')).toEqual({ count: 1, problems: [] })
    expect(read({ WORKERS: 'auto' })).toEqual({ count: 1, problems: [] })
  })

  test('is refused where it is not possible', () => {
    expect(read({ ...postgres, WORKERS: '2' }, 'darwin').problems).toEqual([
      'WORKERS: needs Linux, which distributes the connections of a port among processes; unset it for 1',
    ])
    expect(read({ WORKERS: '2' }).problems).toEqual([
      'WORKERS: needs PostgreSQL, because only one process can open the embedded database; unset it for 1',
    ])
    expect(read({ ...postgres, WORKERS: '11' }).problems).toEqual([
      'WORKERS: is more than DB_POOL_MAX, and each worker needs a connection',
    ])
  })
})

test.each([1, 2, 3, 7, 10])('%i workers together have the connections of one', (workers) => {
  const config = readConfig(postgres)
  const shares = Array.from({ length: workers }, (_, index) =>
    shareOf(config, { worker: index + 1, workers, port: 4321 }),
  )
  const pools = shares.map(({ database }) => (database.kind === 'postgres' ? database.poolMax : 0))
  expect(pools.reduce((sum, one) => sum + one, 0)).toBe(10)
  expect(Math.max(...pools) - Math.min(...pools)).toBeLessThan(2)
  expect(shares.map(({ port }) => port)).toEqual(shares.map(() => 4321))

  const { hashingMax, queueMax } = config.passwords
  const hashing = shares.map(({ passwords }) => passwords.hashingMax)
  expect(Math.min(...hashing)).toBeGreaterThan(0)
  expect(hashing.reduce((sum, one) => sum + one, 0)).toBe(Math.max(hashingMax, workers))
  expect(shares.reduce((sum, { passwords }) => sum + passwords.queueMax, 0)).toBe(queueMax)
})

test('the pause before a restart doubles up to 30 seconds, and is short again after a long run', () => {
  const pause = createRestartPause()
  const pauses = Array.from({ length: 9 }, () => pause.next(100))
  expect(pauses).toEqual([500, 1000, 2000, 4000, 8000, 16_000, 30_000, 30_000, 30_000])
  expect(pause.next(60_000)).toBe(500)
  expect(pause.next(0)).toBe(1000)
})

describe('the counters of the supervisor', () => {
  /** A worker and a supervisor in one process. */
  const connected = (remote: Partial<SupervisorFunctions>) => {
    let toSupervisor = (_message: unknown): void => {}
    let toWorker = (_message: unknown): void => {}
    const copy = (message: unknown) => JSON.parse(JSON.stringify(message))
    openChannel<object, object>(remote, {
      send: (message) => toWorker(copy(message)),
      onMessage: (handler) => {
        toSupervisor = handler
      },
    })
    const functions = { ping: () => {}, metrics: async () => [] }
    const supervisor = openChannel<SupervisorFunctions, WorkerFunctions>(functions, {
      send: (message) => toSupervisor(copy(message)),
      onMessage: (handler) => {
        toWorker = handler
      },
    })
    return createSupervisorStore(supervisor)
  }

  test('count, and give back', async () => {
    const calls: unknown[] = []
    const store = connected({
      add: (...args) => {
        calls.push(args)
        return { count: 3, resetsAt: 12 }
      },
      decrement: (key) => void calls.push(key),
      reset: (key) => void calls.push(key),
    })
    expect(await store.add('user:a', 1000, 5)).toEqual({ count: 3, resetsAt: 12 })
    await store.decrement('user:b')
    await store.reset('user:c')
    expect(calls).toEqual([['user:a', 1000, 5], 'user:b', 'user:c'])
    await store.ping()
    await store.close()
  })

  test('that are full, or do not respond, refuse the request', async () => {
    const full = connected({ add: () => ({ unavailable: 'full' }) })
    expect(full.add('user:a', 1000, 5)).rejects.toEqual(new RateLimitStoreUnavailable('full'))
    const silent = connected({ add: () => Promise.withResolvers<never>().promise as never })
    const error = await Promise.resolve(silent.add('user:a', 1000, 5)).catch((one) => one)
    expect(error).toBeInstanceOf(RateLimitStoreUnavailable)
    expect(error.code).toBe('deadline')
  })
})
