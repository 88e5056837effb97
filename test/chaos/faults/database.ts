import { burst } from '../burst.ts'
import { type Cluster, startCluster } from '../cluster.ts'
import { launch, type Settings } from '../instance.ts'
import { type Load, startLoad } from '../load.ts'
import type { Totals } from '../report.ts'
import type { Postgres } from '../servers.ts'
import type { Fault, Stage } from '../stage.ts'

/** How long the load runs between two faults. */
const betweenMs = 300

type Scene = { cluster: Cluster; load: Load; database: string }

/** Repeats a fault `rounds` times on a cluster under load. After each, the ledger is checked. */
export const underLoad = async (
  { postgres }: Stage,
  totals: Totals,
  rounds: number,
  settings: (database: string) => Settings,
  befall: (scene: Scene, round: number) => Promise<void>,
) => {
  const database = await postgres.newDatabase()
  const cluster = await startCluster(settings(database))
  const load = await startLoad(totals, cluster)
  try {
    for (let round = 0; round < rounds; round++) {
      totals.rounds++
      await Bun.sleep(betweenMs)
      await befall({ cluster, load, database }, round)
      totals.recovered(await cluster.recovers())
      await Bun.sleep(betweenMs)
      await load.rest()
      await postgres.quiet(database)
      await load.check()
      totals.hold('an instance exited', cluster.allRun())
      load.resume()
    }
    await noStuckSlot(cluster, totals)
  } finally {
    await load.leave()
    await cluster.stop()
  }
}

/** More concurrent requests per instance than it has connections: if a slot were lost, some would wait forever. */
const noStuckSlot = async (cluster: Cluster, totals: Totals) => {
  const { token } = cluster.prober
  const ports = cluster.instances.map(({ port }) => port)
  const outcomes = await burst(ports, 40 * ports.length, () => ({
    method: 'GET',
    path: '/api/tasks?limit=1',
    token,
  }))
  for (const outcome of outcomes)
    if (totals.count('afterwards', outcome, [200]) === undefined) totals.fail('a slot is stuck')
}

const direct = (postgres: Postgres) => (database: string) => ({
  DATABASE_URL: postgres.urlOf(database),
})

const restart = (mode: 'fast' | 'immediate'): Fault => ({
  name: `database restarted, ${mode}`,
  run: (stage, totals) =>
    underLoad(stage, totals, stage.full ? 20 : 2, direct(stage.postgres), async () => {
      await stage.postgres.halt(mode)
      await Bun.sleep(Math.random() * 500)
      await stage.postgres.start()
    }),
})

const downAtStart: Fault = {
  name: 'database down at start',
  run: async ({ full, postgres }, totals) => {
    const database = await postgres.newDatabase()
    for (let round = 0; round < (full ? 5 : 2); round++) {
      totals.rounds++
      await postgres.halt('fast')
      const instance = launch({ DATABASE_URL: postgres.urlOf(database) })
      const via = instance.client()
      const ask = async (path: string, wanted: number) => {
        const outcome = await via.send({ method: 'GET', path }).catch((error: Error) => error)
        totals.hold(
          `${path} without a database is not ${wanted}`,
          totals.count(path, outcome, [wanted]) !== undefined,
        )
      }
      while ((await instance.status('/health')) === undefined && instance.isRunning())
        await Bun.sleep(5)
      for (let times = 0; times < 10; times++) {
        await ask('/health', 200)
        await ask('/ready', 503)
        await ask('/api/tasks', 401)
        await Bun.sleep(100)
      }
      via.close()
      await postgres.start()
      const durationMs = await instance.ready()
      totals.recovered(durationMs)
      totals.hold(`ready only after ${durationMs.toFixed(0)} ms`, durationMs < 5000)
      totals.hold('it exited', instance.isRunning())
      await instance.stop('SIGKILL')
    }
  },
}

const backendsMax = 1000

const terminated: Fault = {
  name: 'backends terminated',
  run: (stage, totals) => {
    const killsMax = stage.full ? backendsMax : 100
    let killed = 0
    return underLoad(stage, totals, 1, direct(stage.postgres), async ({ database }) => {
      const admin = stage.postgres.connect(database)
      while (killed < killsMax) {
        const rows = await admin`
          select pg_terminate_backend(pid) from pg_stat_activity
          where application_name = 'taskwarden' and datname = current_database()
          order by random() limit ${Math.min(5, killsMax - killed)}`
        killed += rows.length
        await Bun.sleep(50)
      }
      await admin.end()
      totals.fact(`${killed} backends terminated`)
    })
  },
}

const throughPgBouncer =
  ({ postgres, pgbouncer }: Stage) =>
  (database: string) => ({
    DATABASE_URL: pgbouncer.urlOf(database),
    MIGRATION_DATABASE_URL: postgres.urlOf(database),
  })

const poolerKilled: Fault = {
  name: 'PgBouncer killed',
  run: (stage, totals) =>
    underLoad(stage, totals, stage.full ? 20 : 2, throughPgBouncer(stage), async () => {
      await stage.pgbouncer.halt()
      await Bun.sleep(Math.random() * 300)
      await stage.pgbouncer.start()
    }),
}

const restartedBehindPooler: Fault = {
  name: 'database restarted behind PgBouncer',
  run: (stage, totals) =>
    underLoad(stage, totals, stage.full ? 20 : 2, throughPgBouncer(stage), async () => {
      await stage.postgres.halt('immediate')
      await stage.postgres.start()
    }),
}

export const databaseFaults: Fault[] = [
  downAtStart,
  restart('fast'),
  restart('immediate'),
  terminated,
  poolerKilled,
  restartedBehindPooler,
]
