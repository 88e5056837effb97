import { burst } from '../burst.ts'
import { type Cluster, startCluster } from '../cluster.ts'
import { launch, type Settings } from '../instance.ts'
import { faultProxy } from '../proxy.ts'
import type { Totals } from '../report.ts'
import type { Fault, Stage } from '../stage.ts'
import { register } from '../user.ts'

const limit = 100

type Store = 'postgres' | 'redis'

const counting = async ({ postgres, redis }: Stage, store: Store): Promise<Settings> => ({
  DATABASE_URL: postgres.urlOf(await postgres.newDatabase()),
  RATE_LIMIT_STORE: store,
  RATE_LIMIT: String(limit),
  ...(store === 'redis' && { REDIS_URL: redis.newDatabase() }),
})

const reading = (token: string) => () => ({ method: 'GET', path: '/api/tasks?limit=1', token })

/**
 * Sends concurrent requests of one user over all instances. Returns how many passed, and how many were 503, which may
 * have been counted.
 */
const passing = async (cluster: Cluster, token: string, count: number, totals: Totals) => {
  const ports = cluster.instances.map(({ port }) => port)
  const outcomes = await burst(ports, count, reading(token))
  const passed = outcomes.filter((outcome) => totals.count('in a burst', outcome, [200])).length
  const unsure = outcomes.filter((one) => !(one instanceof Error) && one.status === 503).length
  return { passed, unsure }
}

/** Exactly the rest of the limit passes. Fewer are accepted only if a store missed its deadline on a busy machine. */
const holdExact = (
  { full }: Stage,
  totals: Totals,
  { passed, unsure }: { passed: number; unsure: number },
  wanted: number,
) => {
  const exact = passed === wanted && unsure === 0
  const excused = !full && passed <= wanted && passed + unsure >= wanted
  totals.hold(`${passed} passed, not ${wanted}, and ${unsure} were 503`, exact || excused)
  if (unsure > 0) totals.fact(`${unsure} × 503`)
}

const newcomer = async (cluster: Cluster) => {
  const via = cluster.instances[0]?.client()
  if (via === undefined) throw new Error('a cluster without instances')
  try {
    return await register(via)
  } finally {
    via.close()
  }
}

const exact = (store: Store): Fault => ({
  name: `500 at once over 3 instances, ${store}`,
  run: async (stage, totals) => {
    const cluster = await startCluster(await counting(stage, store))
    try {
      for (let round = 0; round < (stage.full ? 20 : 3); round++) {
        totals.rounds++
        const { token } = await newcomer(cluster)
        holdExact(stage, totals, await passing(cluster, token, 500, totals), limit)
      }
    } finally {
      await cluster.stop()
    }
  },
})

const inMidWindow = (store: Store): Fault => ({
  name: `restart in mid-window, ${store}`,
  run: async (stage, totals) => {
    const cluster = await startCluster(await counting(stage, store))
    try {
      for (let round = 0; round < (stage.full ? 5 : 1); round++) {
        totals.rounds++
        const { token } = await newcomer(cluster)
        const before = await passing(cluster, token, 60, totals)
        for (const instance of [...cluster.instances]) {
          await instance.stop(round % 2 === 0 ? 'SIGTERM' : 'SIGKILL')
          await cluster.replace(instance)
        }
        const after = await passing(cluster, token, 200, totals)
        holdExact(stage, totals, before, 60)
        holdExact(stage, totals, after, limit - 60 - before.unsure)
      }
    } finally {
      await cluster.stop()
    }
  },
})

/** The ways to stop the store of the counters and to start it again. */
type Outage = { go: () => Promise<void> | void; comeBack: () => Promise<void> | void }

/** While requests cannot be counted they are refused. The service recovers by itself. */
const closedWithout = async (
  settings: Settings,
  rounds: number,
  totals: Totals,
  { go, comeBack }: Outage,
) => {
  const instance = launch({ ...settings, RATE_LIMIT: '1000000' })
  const via = instance.client()
  const ask = async (path: string, wanted: readonly number[], token?: string) =>
    totals.count(
      path,
      await via.send({ method: 'GET', path, token }).catch((error: Error) => error),
      wanted,
    )
  try {
    await instance.ready()
    const { token } = await register(via)
    for (let round = 0; round < rounds; round++) {
      totals.rounds++
      await go()
      for (let times = 0; times < 5; times++) {
        const refusedBefore = totals.refused
        await ask('/api/tasks', [], token)
        totals.hold('an open limiter', totals.refused === refusedBefore + 1)
        totals.hold('/health fails', (await ask('/health', [200])) !== undefined)
      }
      await comeBack()
      const from = performance.now()
      while ((await ask('/api/tasks', [200], token)) === undefined) {
        if (performance.now() - from > 10_000) return totals.fail('it did not recover')
        await Bun.sleep(20)
      }
      totals.recovered(performance.now() - from)
      totals.hold('it exited', instance.isRunning())
    }
  } finally {
    via.close()
    await instance.stop('SIGKILL')
  }
}

const gone = (store: Store): Fault => ({
  name: `limiter store gone, ${store}`,
  run: async (stage, totals) => {
    const { postgres, redis } = stage
    const outage =
      store === 'postgres'
        ? { go: () => postgres.halt('fast'), comeBack: postgres.start }
        : { go: redis.halt, comeBack: redis.start }
    await closedWithout(await counting(stage, store), stage.full ? 20 : 2, totals, outage)
  },
})

const silent: Fault = {
  name: 'limiter store silent, redis',
  run: async (stage, totals) => {
    const settings = await counting(stage, 'redis')
    const url = new URL(settings.REDIS_URL ?? '')
    const proxy = faultProxy(Number(url.port))
    url.port = String(proxy.port)
    const outage = { go: () => proxy.set('drop'), comeBack: () => proxy.set('pass') }
    const rounds = stage.full ? 5 : 1
    await closedWithout({ ...settings, REDIS_URL: url.href }, rounds, totals, outage).finally(
      proxy.stop,
    )
  },
}

export const limiterFaults: Fault[] = [
  exact('postgres'),
  exact('redis'),
  inMidWindow('postgres'),
  inMidWindow('redis'),
  gone('postgres'),
  gone('redis'),
  silent,
]
