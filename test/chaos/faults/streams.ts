import type { Cluster } from '../cluster.ts'
import { bufferingProxy, createFollower, type Follower } from '../follower.ts'
import type { Load } from '../load.ts'
import type { Totals } from '../report.ts'
import { hasNginx, startNginx } from '../servers.ts'
import type { Fault, Stage } from '../stage.ts'
import { underLoad } from './database.ts'

const [writers, perWriter] = [20, 10]
/** A lost notification is repaired by then. */
const equalWithinMs = 10_000
const cutEveryMs = 20

type Scene = { cluster: Cluster; load: Load; database: string }
/** A proxy between the clients and these instances. */
type OpenProxy = (ports: () => number[]) => Promise<{ port: number; stop: () => unknown }>

type Befall = (stage: Stage, scene: Scene, round: number) => Promise<void>

const tasksOf = async ({ port }: Cluster, token: string) => {
  const response = await fetch(`http://127.0.0.1:${port}/api/tasks?limit=200`, {
    headers: { authorization: `Bearer ${token}` },
  })
  const { tasks } = (await response.json()) as { tasks: { id: string; version: number }[] }
  return new Map(tasks.map(({ id, version }) => [id, version]))
}

const isEqual = (follower: Follower, stored: Map<string, number>) =>
  follower.tasks.size === stored.size &&
  [...stored].every(([id, version]) => follower.tasks.get(id)?.version === version)

/** Waits until all copies of a user are what the service has stored. */
const compare = async (cluster: Cluster, token: string, copies: Follower[], totals: Totals) => {
  const stored = await tasksOf(cluster, token)
  const until = performance.now() + equalWithinMs
  for (const copy of copies) {
    while (!isEqual(copy, stored) && performance.now() < until) await Bun.sleep(20)
    if (!isEqual(copy, stored))
      totals.lose(`a stream has ${copy.tasks.size} tasks, the service ${stored.size}`)
  }
}

/**
 * 200 streams of 20 writers on three instances are cut at random, while something fails. Afterwards every copy equals the
 * database, and no stream has had a change twice or out of order.
 */
const ledger = (
  name: string,
  befall: Befall,
  settings: (stage: Stage) => Record<string, string>,
  openProxy?: OpenProxy,
): Fault => ({
  name: `streams, ${name}`,
  run: async (stage, totals) => {
    totals.cutsAllowed = true
    const byToken = new Map<string, Follower[]>()
    const shared = settings(stage)
    const all = () => [...byToken.values()].flat()
    let cluster: Cluster | undefined
    const ports = () => cluster?.balancer.readyPorts() ?? []
    let proxy: Awaited<ReturnType<OpenProxy>> | undefined
    const cutting = setInterval(() => {
      const copies = all()
      copies[Math.floor(Math.random() * copies.length)]?.cut()
    }, cutEveryMs)

    const begin = async (scene: Scene) => {
      cluster = scene.cluster
      proxy = await openProxy?.(ports)
      const reached = () => (proxy ? [proxy.port] : ports())
      for (const { token } of scene.load.people.slice(0, writers))
        byToken.set(
          token,
          Array.from({ length: perWriter }, () =>
            createFollower({
              token,
              ports: reached,
              fail: totals.fail,
            }),
          ),
        )
    }
    try {
      const settingsOf = (database: string) => ({
        DATABASE_URL: stage.postgres.urlOf(database),
        ...shared,
      })
      await underLoad(stage, totals, stage.full ? 20 : 3, settingsOf, async (scene, round) => {
        if (cluster === undefined) await begin(scene)
        await Bun.sleep(500)
        await befall(stage, scene, round)
        await Bun.sleep(500)
        await scene.load.rest()
        await Promise.all(
          [...byToken].map(([token, copies]) => compare(scene.cluster, token, copies, totals)),
        )
        scene.load.resume()
      })
      const sum = (count: keyof Follower['counts']) =>
        all().reduce((total, { counts }) => total + counts[count], 0)
      totals.fact(`${sum('events')} events over ${sum('connections')} connections`)
    } finally {
      clearInterval(cutting)
      await Promise.all(all().map((copy) => copy.stop()))
      await proxy?.stop()
    }
  },
})

const kill: Befall = async (_, { cluster }, round) => {
  const instance = cluster.instances[round % cluster.instances.length]
  if (instance === undefined) return
  await instance.stop(round % 2 === 0 ? 'SIGKILL' : 'SIGTERM')
  await cluster.replace(instance)
}
const restart: Befall = async ({ postgres }, _, round) => {
  await postgres.halt(round % 2 === 0 ? 'fast' : 'immediate')
  await Bun.sleep(Math.random() * 500)
  await postgres.start()
}
const cutListen: Befall = async ({ postgres }, { database }) => {
  await postgres.tell(`select pg_terminate_backend(pid) from pg_stat_activity
    where application_name = 'taskwarden notifications' and datname = '${database}'`)
}
const stopRedis: Befall = async ({ redis }) => {
  await redis.halt()
  await Bun.sleep(500)
  await redis.start()
}
const nothing: Befall = async () => {}

export const streamFaults: Fault[] = [
  ledger('instances killed', kill, () => ({})),
  ledger('database restarted', restart, () => ({})),
  ledger('LISTEN cut', cutListen, () => ({})),
  ledger('Redis killed', stopRedis, ({ redis }) => ({ REDIS_URL: redis.newDatabase() })),
  ledger(
    'behind a proxy that buffers 4 KiB',
    nothing,
    () => ({}),
    async (ports) => bufferingProxy(() => ports()[0] ?? 1),
  ),
  ...(hasNginx
    ? [
        ledger(
          'behind nginx',
          nothing,
          () => ({}),
          (ports) => startNginx(ports()),
        ),
      ]
    : []),
]
