import { openAll, sendAll } from '../burst.ts'
import { startCluster } from '../cluster.ts'
import { launch } from '../instance.ts'
import { startLoad } from '../load.ts'
import { until } from '../processes.ts'
import type { Fault } from '../stage.ts'
import { register } from '../user.ts'
import { underLoad } from './database.ts'

const killed: Fault = {
  name: 'instance killed',
  run: (stage, totals) => {
    // Only the requests in flight at the killed instance may be cut off.
    totals.cutsAllowed = true
    const settings = (database: string) => ({ DATABASE_URL: stage.postgres.urlOf(database) })
    return underLoad(stage, totals, stage.full ? 20 : 3, settings, async ({ cluster }, round) => {
      const instance = cluster.instances[round % cluster.instances.length]
      if (instance === undefined) return
      await instance.stop('SIGKILL')
      await cluster.replace(instance)
    })
  },
}

const inFlight = 200

/** 200 requests wait for a lock on their table when the signal arrives; then the lock is released. */
const signalled = (signal: NodeJS.Signals): Fault => ({
  name: `${signal} with ${inFlight} in flight`,
  run: async ({ full, postgres }, totals) => {
    const database = await postgres.newDatabase()
    for (let round = 0; round < (full ? 20 : 2); round++) {
      totals.rounds++
      // Alternating: the listener closes at once, or after draining for two seconds.
      const drainMs = round % 2 === 0 ? 0 : 2000
      const instance = launch({
        DATABASE_URL: postgres.urlOf(database),
        DRAIN_MS: String(drainMs),
        DB_TIMEOUT_MS: '25000',
      })
      await instance.ready()
      const via = instance.client()
      const { token } = await register(via)
      via.close()
      const holder = postgres.connect(database)
      const lock = await holder.reserve()
      await lock`begin`
      await lock`lock table tasks in access exclusive mode`

      const channels = await openAll([instance.port], inFlight)
      const answers = sendAll(
        channels,
        (at) => ({ method: 'POST', path: '/api/tasks', token, body: { title: `${at}` } }),
        30_000,
      )
      await until('statements wait', async () => {
        const [row] = await postgres.tell(
          `select count(*)::int as n from pg_stat_activity
           where datname = '${database}' and application_name = 'taskwarden' and wait_event_type = 'Lock'`,
        )
        return row?.n >= 10
      })
      const from = performance.now()
      const exit = instance.stop(signal)
      if (drainMs > 0) {
        await Bun.sleep(drainMs / 4)
        const status = await instance.status('/ready')
        totals.hold(`/ready is ${status} while it drains`, status === 503)
      }
      await lock`commit`
      lock.release()

      for (const outcome of await answers) totals.count('in flight', outcome, [201])
      totals.hold('ready at its end', (await instance.status('/ready')) !== 200)
      const code = await exit
      totals.recovered(performance.now() - from)
      totals.hold(`exited with ${code}`, code === 0)
      for (const channel of channels) channel.close()
      await holder.end()
    }
  },
})

/** Ctrl-C often arrives twice at once. A second one that comes later is meant. */
const secondSignal: Fault = {
  name: 'second signal',
  waits: true,
  run: async ({ full, postgres }, totals) => {
    const database = await postgres.newDatabase()
    for (let round = 0; round < (full ? 4 : 2); round++) {
      totals.rounds++
      const signal = round % 2 === 0 ? 'SIGTERM' : 'SIGINT'
      const instance = launch({ DATABASE_URL: postgres.urlOf(database), DRAIN_MS: '60000' })
      await instance.ready()
      const via = instance.client()
      instance.child.kill(signal)
      await Bun.sleep(300)
      instance.child.kill(signal)
      await Bun.sleep(400)
      const outcome = await via.send({ method: 'GET', path: '/health' }).catch((e: Error) => e)
      totals.count('after two signals in one second', outcome, [200])
      via.close()
      await Bun.sleep(600)
      const from = performance.now()
      const code = await instance.stop(signal)
      const durationMs = performance.now() - from
      totals.recovered(durationMs)
      totals.hold(
        `exited with ${code} after ${durationMs.toFixed(0)} ms`,
        code === 130 && durationMs < 1000,
      )
    }
  },
}

/** A rolling restart is invisible: no request fails or is refused. */
const rolling: Fault = {
  name: 'rolling restart',
  run: async ({ full, postgres }, totals) => {
    const database = await postgres.newDatabase()
    const cluster = await startCluster({
      DATABASE_URL: postgres.urlOf(database),
      DRAIN_MS: '1000',
    })
    const load = await startLoad(totals, cluster)
    try {
      for (let round = 0; round < (full ? 7 : 1); round++) {
        totals.rounds++
        const from = performance.now()
        for (const instance of [...cluster.instances]) {
          const code = await instance.stop('SIGTERM')
          totals.hold(`exited with ${code}`, code === 0)
          await cluster.replace(instance)
        }
        totals.recovered(performance.now() - from)
        await load.check()
        load.resume()
      }
      totals.hold(`${totals.refused} were refused`, totals.refused === 0)
    } finally {
      await load.leave()
      await cluster.stop()
    }
  },
}

export const processFaults: Fault[] = [
  killed,
  signalled('SIGTERM'),
  signalled('SIGINT'),
  secondSignal,
  rolling,
]
