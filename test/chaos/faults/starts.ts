import { type Instance, launch } from '../instance.ts'
import { until } from '../processes.ts'
import { median, type Totals } from '../report.ts'
import type { Postgres } from '../servers.ts'
import type { Fault } from '../stage.ts'
import { register } from '../user.ts'

const coldStartMsMax = 150

/** Every migration is applied exactly once. */
const migratedOnce = async (postgres: Postgres, database: string, totals: Totals) => {
  const [row] = await postgres.tell(
    'select count(*)::int as n, count(distinct hash)::int as hashes from drizzle.__drizzle_migrations',
    database,
  )
  const journal: { entries: unknown[] } = await Bun.file(
    new URL('../../../drizzle/meta/_journal.json', import.meta.url),
  ).json()
  const known = journal.entries.length
  totals.hold(`${row?.n} migrations for ${known}`, row?.n === known && row?.hashes === known)
}

/** Creates an account and a task, which use most tables of the migrations. */
const works = async (instance: Instance, totals: Totals) => {
  const via = instance.client()
  try {
    const { token } = await register(via)
    const sent = { method: 'POST', path: '/api/tasks', token, body: { title: 'the first' } }
    totals.count('the first task', await via.send(sent).catch((error: Error) => error), [201])
  } finally {
    via.close()
  }
}

const together: Fault = {
  name: '8 starts at once, empty database',
  run: async ({ full, postgres }, totals) => {
    for (let round = 0; round < (full ? 20 : 2); round++) {
      totals.rounds++
      const DATABASE_URL = postgres.urlOf(await postgres.newDatabase())
      const from = performance.now()
      const instances = Array.from({ length: 8 }, () => launch({ DATABASE_URL }))
      await Promise.all(instances.map((instance) => instance.ready()))
      totals.recovered(performance.now() - from)
      await migratedOnce(postgres, new URL(DATABASE_URL).pathname.slice(1), totals)
      await Promise.all(instances.map((instance) => works(instance, totals)))
      await Promise.all(instances.map((instance) => instance.stop('SIGKILL')))
    }
  },
}

/** A lock on a table stops the migration in its middle. */
const killedInMigration: Fault = {
  name: 'killed during a migration',
  run: async ({ full, postgres }, totals) => {
    for (let round = 0; round < (full ? 20 : 2); round++) {
      totals.rounds++
      const database = await postgres.newDatabase()
      const settings = { DATABASE_URL: postgres.urlOf(database) }
      const other = postgres.connect(database)
      const held = await other.reserve()
      await held`begin`
      await held`create table users (id int)`
      const first = launch(settings)
      await until('the migration waits', async () => {
        const [row] = await postgres.tell(
          `select count(*)::int as n from pg_stat_activity where datname = '${database}'
           and application_name = 'taskwarden migration' and wait_event_type = 'Lock'`,
        )
        return row?.n === 1
      })
      await first.stop('SIGKILL')
      const second = launch(settings)
      await Bun.sleep(50)
      await held`rollback`
      held.release()
      await other.end()

      totals.recovered(await second.ready())
      await migratedOnce(postgres, database, totals)
      await works(second, totals)
      await second.stop('SIGKILL')
    }
  },
}

/** After a kill at any moment of the start, the next start succeeds. */
const killedInStart: Fault = {
  name: 'killed during its start',
  run: async ({ full, postgres }, totals) => {
    for (let round = 0; round < (full ? 20 : 2); round++) {
      totals.rounds++
      const database = await postgres.newDatabase()
      const settings = { DATABASE_URL: postgres.urlOf(database) }
      for (let times = 0; times < 3; times++) {
        const victim = launch(settings)
        await Bun.sleep(Math.random() * 250)
        await victim.stop('SIGKILL')
      }
      const last = launch(settings)
      totals.recovered(await last.ready())
      await migratedOnce(postgres, database, totals)
      await works(last, totals)
      await last.stop('SIGKILL')
    }
  },
}

/** From the start of the process to the first 200 of `/ready`, on a migrated database. */
const cold: Fault = {
  name: 'cold start',
  run: async ({ full, postgres }, totals) => {
    const settings = { DATABASE_URL: postgres.urlOf(await postgres.newDatabase()) }
    const first = launch(settings)
    await first.ready()
    await first.stop('SIGKILL')
    const times: number[] = []
    for (let round = 0; round < (full ? 20 : 5); round++) {
      totals.rounds++
      const instance = launch(settings)
      await instance.ready()
      times.push(performance.now() - instance.startedAt)
      await works(instance, totals)
      await instance.stop('SIGKILL')
    }
    for (const ms of times) totals.recovered(ms)
    const [best, middle] = [Math.min(...times), median(times)]
    totals.fact(`to /ready ${best.toFixed(0)} ms at best, ${middle.toFixed(0)} ms median`)
    // The minimum: on a busy machine, the other values measure the other work.
    if (full) totals.hold(`cold start took ${best.toFixed(0)} ms`, best < coldStartMsMax)
  },
}

export const startFaults: Fault[] = [together, killedInMigration, killedInStart, cold]
