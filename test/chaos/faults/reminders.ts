import type { Cluster } from '../cluster.ts'
import { createFollower, type Follower } from '../follower.ts'
import { until } from '../processes.ts'
import type { Totals } from '../report.ts'
import type { Fault } from '../stage.ts'
import { register } from '../user.ts'
import { underLoad } from './database.ts'

const [users, perUser] = [10, 10]
/** More than the time between two reads of the job. */
const latestMs = 40_000

/** A user without other requests. */
const signUp = async ({ instances }: Cluster): Promise<string> => {
  const via = instances[0]?.client()
  if (via === undefined) throw new Error('a cluster without instances')
  const { token } = await register(via)
  via.close()
  return token
}

/** Adds tasks whose reminders are due within some seconds. */
const remindSoon = async ({ port }: Cluster, token: string): Promise<string[]> => {
  const create = Array.from({ length: perUser }, (_, at) => ({
    title: `${at}`,
    reminders: [{ at: new Date(Date.now() + 500 + at * 300).toISOString() }],
  }))
  const response = await fetch(`http://127.0.0.1:${port}/api/tasks/batch`, {
    method: 'POST',
    headers: { authorization: `Bearer ${token}`, 'content-type': 'application/json' },
    body: JSON.stringify({ create }),
  })
  const { created } = (await response.json()) as { created: { id: string }[] }
  return created.map(({ id }) => id)
}

const received = (follower: Follower, ids: readonly string[]): number =>
  ids.filter((id) => follower.reminders.has(id)).length

/** Waits until a stream has all reminders of its user. */
const expectAll = async (follower: Follower, ids: readonly string[], totals: Totals) => {
  const name = 'a stream has all reminders'
  const hasAll = () => received(follower, ids) === ids.length
  const arrived = until(name, hasAll, { withinMs: latestMs })
  await arrived.catch(() =>
    totals.lose(`a stream has ${received(follower, ids)} of ${ids.length} reminders`),
  )
}

/**
 * Instances are killed while reminders are due. Afterwards each was delivered, once: the database has one event for each, and
 * no stream has had one twice (`createFollower`).
 */
export const reminderFaults: Fault[] = [
  {
    name: 'reminders, instances killed',
    waits: true,
    run: async (stage, totals) => {
      totals.cutsAllowed = true
      const followers = new Map<string, Follower>()
      const given: string[] = []
      const tokens: string[] = []
      const settings = (database: string) => ({ DATABASE_URL: stage.postgres.urlOf(database) })
      try {
        await underLoad(stage, totals, stage.full ? 10 : 1, settings, async (scene) => {
          const { cluster, database } = scene
          while (tokens.length < users) tokens.push(await signUp(cluster))
          const ports = () => cluster.balancer.readyPorts()
          const expected = await Promise.all(
            tokens.map(async (token) => {
              const follower =
                followers.get(token) ?? createFollower({ token, ports, fail: totals.fail })
              followers.set(token, follower)
              return { follower, ids: await remindSoon(cluster, token) }
            }),
          )
          given.push(...expected.flatMap(({ ids }) => ids))
          for (const instance of [...cluster.instances].slice(0, 2)) {
            await Bun.sleep(1000)
            await instance.stop('SIGKILL')
            await cluster.replace(instance)
          }
          await Promise.all(expected.map(({ follower, ids }) => expectAll(follower, ids, totals)))
          const [row] = await stage.postgres.tell(
            'select count(*)::int as n from reminder_events',
            database,
          )
          totals.hold(`${row?.n} events for ${given.length} reminders`, row?.n === given.length)
        })
        totals.fact(`${given.length} reminders`)
      } finally {
        await Promise.all([...followers.values()].map((follower) => follower.stop()))
      }
    },
  },
]
