import { type Balancer, balance } from './balancer.ts'
import { type Instance, launch, type Settings } from './instance.ts'
import { until } from './processes.ts'
import { register } from './user.ts'

export type Cluster = Awaited<ReturnType<typeof startCluster>>

/** Three instances behind a balancer. */
export const startCluster = async (settings: Settings, size = 3) => {
  const balancer: Balancer = balance()
  const instances: Instance[] = []

  const join = async (): Promise<Instance> => {
    const instance = launch(settings)
    await instance.ready()
    balancer.add(instance.port)
    return instance
  }
  for (let at = 0; at < size; at++) instances.push(await join())

  const first = instances[0]?.client()
  if (first === undefined) throw new Error('a cluster without instances')
  const prober = await register(first)
  first.close()

  /** Resolves when this instance acknowledges a write. */
  const writes = async (instance: Instance) => {
    const via = instance.client()
    const sent = {
      method: 'POST',
      path: '/api/tasks',
      token: prober.token,
      body: { title: 'a probe' },
    }
    await until(`instance on ${instance.port} writes`, async () => {
      const answer = await via.send(sent).catch(() => undefined)
      return answer?.status === 201
    })
    via.close()
  }
  const allReady = () =>
    until('the balancer finds all ready', () => balancer.readyPorts().length === instances.length)

  await allReady()
  return {
    instances,
    balancer,
    port: balancer.port,
    settings,
    prober,
    /** Milliseconds from now until every instance acknowledges a write. */
    recovers: async () => {
      const from = performance.now()
      await Promise.all(instances.map(writes))
      const durationMs = performance.now() - from
      await allReady()
      return durationMs
    },
    /** Replaces an instance that has stopped, or is stopping, by a new one. */
    replace: async (gone: Instance) => {
      balancer.remove(gone.port)
      const instance = await join()
      instances[instances.indexOf(gone)] = instance
      await allReady()
      return instance
    },
    allRun: () => instances.every((instance) => instance.isRunning()),
    stop: async () => {
      await balancer.stop()
      await Promise.all(
        instances.map((instance) => (instance.isRunning() ? instance.stop('SIGKILL') : undefined)),
      )
    },
  }
}
