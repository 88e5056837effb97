import { burst, openAll, sendAll } from '../burst.ts'
import { startCluster } from '../cluster.ts'
import { type Instance, launch } from '../instance.ts'
import { startLoad } from '../load.ts'
import { median, quantile, type Totals } from '../report.ts'
import type { Fault } from '../stage.ts'
import { register } from '../user.ts'

const megabyte = 1_000_000
/** The limit during the attack. A machine that runs the service has at least 256 MB. */
const besiegedBytesMax = 250 * megabyte
const steadyBytesMax = 120 * megabyte
/** The limit for a request that only competes with other connections. */
const answerMsMax = 1000

const megabytes = (bytes: number) => (bytes / megabyte).toFixed(0)

const alone = async (
  databaseUrl: string,
  work: (instance: Instance, token: string) => Promise<void>,
) => {
  const instance = launch({ DATABASE_URL: databaseUrl })
  try {
    await instance.ready()
    const via = instance.client()
    const { token } = await register(via)
    via.close()
    await work(instance, token)
  } finally {
    await instance.stop('SIGKILL')
  }
}

/** The peak of its resident memory while `work` runs. */
const highest = async (instance: Instance, work: () => Promise<unknown>) => {
  let over = false
  let bytes = 0
  const watching = (async () => {
    while (!over) {
      bytes = Math.max(bytes, await instance.rss())
      await Bun.sleep(20)
    }
  })()
  await work().finally(() => {
    over = true
  })
  await watching
  return bytes
}

const idleConnections: Fault = {
  name: 'idle keep-alive connections',
  run: async ({ full, postgres }, totals) => {
    const count = full ? 5000 : 2000
    await alone(postgres.urlOf(await postgres.newDatabase()), async (instance, token) => {
      totals.rounds++
      const before = await instance.rss()
      const bytes = await highest(instance, async () => {
        const channels = await openAll([instance.port], count)
        for (let at = 0; at < count; at += 500) {
          const some = channels.slice(at, at + 500)
          for (const outcome of await sendAll(some, () => ({ method: 'GET', path: '/health' })))
            totals.count('before it idles', outcome, [200])
        }
        await answersStill(instance, token, totals)
        const open = channels.filter(({ closed }) => !closed).length
        totals.hold(`${open} of ${count} were still open`, open === count)
        for (const channel of channels) channel.close()
      })
      totals.hold(`${megabytes(bytes)} MB`, bytes < besiegedBytesMax)
      totals.fact(`${count} of them: RSS ${megabytes(before)} → ${megabytes(bytes)} MB`)
    })
  },
}

const answersStill = async (instance: Instance, token: string, totals: Totals) => {
  const via = instance.client()
  for (let times = 0; times < 50; times++) {
    const sent = { method: 'GET', path: '/api/tasks', token }
    const answer = totals.count('still', await via.send(sent).catch((e: Error) => e), [200])
    if (answer !== undefined)
      totals.hold(`an answer after ${answer.ms.toFixed(0)} ms`, answer.ms < answerMsMax)
  }
  via.close()
}

const bodyBytes = 65_536

/** A task with as many bytes as a body may have, mostly white space. */
const fullBody = (title: string): string => {
  const text = JSON.stringify({ title, description: 'x'.repeat(9000) })
  return text + ' '.repeat(bodyBytes - text.length)
}

const bodies: Fault = {
  name: '64 KiB bodies, 1 000 at once',
  run: async ({ full, postgres }, totals) => {
    await alone(postgres.urlOf(await postgres.newDatabase()), async (instance, token) => {
      const before = await instance.rss()
      let bytes = 0
      for (let round = 0; round < (full ? 5 : 1); round++) {
        totals.rounds++
        const top = await highest(instance, async () => {
          const outcomes = await burst([instance.port], 1000, (at) => ({
            method: 'POST',
            path: '/api/tasks',
            token,
            body: fullBody(`${round}-${at}`),
          }))
          for (const outcome of outcomes) totals.count('a full body', outcome, [201])
          await answersStill(instance, token, totals)
        })
        bytes = Math.max(bytes, top)
      }
      totals.hold(`${megabytes(bytes)} MB`, bytes < besiegedBytesMax)
      totals.fact(`RSS ${megabytes(before)} → ${megabytes(bytes)} MB`)
    })
  },
}

const manyTasks = 100_000
const fewTasks = 1000
const pages = 200

/** The cost of a page does not depend on its position. */
const manyOfOne: Fault = {
  name: `a user with ${manyTasks} tasks`,
  run: async ({ full, postgres }, totals) => {
    const database = await postgres.newDatabase()
    await alone(postgres.urlOf(database), async (instance) => {
      totals.rounds++
      const via = instance.client()
      const asked: { token: string; path: string; times: number[] }[] = []
      for (const count of [fewTasks, manyTasks]) {
        const { id, token } = await register(via)
        await postgres.tell(
          `insert into tasks (user_id, id, title, created_at, updated_at, change)
           select '${id}', gen_random_uuid(), 'task ' || n, now() - n * interval '1 second',
             now() - n * interval '1 second', n from generate_series(1, ${count}) n`,
          database,
        )
        asked.push({ token, path: '/api/tasks', times: [] })
      }
      await postgres.tell('vacuum analyze tasks', database)
      // Alternating, so that other work on the machine affects both alike.
      for (let page = 0; page < pages; page++)
        for (const one of asked) {
          const outcome = await via
            .send({ method: 'GET', path: one.path, token: one.token })
            .catch((error: Error) => error)
          const answer = totals.count('a page', outcome, [200])
          if (answer === undefined) continue
          one.times.push(answer.ms)
          const { next_cursor } = answer.body
          one.path = next_cursor === null ? '/api/tasks' : `/api/tasks?cursor=${next_cursor}`
        }
      via.close()
      const [few = 0, many = 0] = asked.map(({ times }) => quantile(times, 0.95))
      totals.fact(
        `p95 of a page ${few.toFixed(1)} ms of ${fewTasks}, ${many.toFixed(1)} ms of ${manyTasks}`,
      )
      totals.hold(
        `p95 ${many.toFixed(1)} ms, not ${few.toFixed(1)}`,
        many < few * (full ? 2 : 3) + 5,
      )
    })
  },
}

const sampleEveryMs = 1000
/** Over minutes, the heap between two collections looks like a slope. Over an hour it does not. */
const slopeMegabytesPerHourMax = (minutes: number) => 30 + 600 / minutes

/** The memory reaches a level and stays there. */
const steady: Fault = {
  name: 'memory under load',
  run: async ({ full, minutes, postgres }, totals) => {
    totals.rounds++
    const cluster = await startCluster({
      DATABASE_URL: postgres.urlOf(await postgres.newDatabase()),
    })
    const load = await startLoad(totals, { port: cluster.port, thinkMs: 10 })
    const samples = cluster.instances.map((): number[] => [])
    const untilMs = performance.now() + (full ? minutes * 60_000 : 10_000)
    try {
      while (performance.now() < untilMs) {
        await Bun.sleep(sampleEveryMs)
        for (const [at, instance] of cluster.instances.entries())
          samples[at]?.push(await instance.rss())
      }
      await load.check()
    } finally {
      await load.leave()
      await cluster.stop()
    }
    // Between two collections it varies by tens of megabytes.
    const last = samples.map((of) => median(of.slice(-60)))
    const slopes = samples.map(
      (of) => slopeOf(of.slice(of.length / 2)) * (3_600_000 / sampleEveryMs),
    )
    const top = samples.map((of) => Math.max(...of))
    totals.fact(
      `RSS ${last.map(megabytes).join(', ')} MB, ${top.map(megabytes).join(', ')} at most`,
    )
    totals.fact(`${slopes.map(megabytes).join(', ')} MB an hour over the second half`)
    if (!full) return
    for (const bytes of last) totals.hold(`RSS ${megabytes(bytes)} MB`, bytes < steadyBytesMax)
    for (const slope of slopes)
      totals.hold(
        `grows ${megabytes(slope)} MB an hour`,
        slope < slopeMegabytesPerHourMax(minutes) * megabyte,
      )
  },
}

/** The slope by least squares, per value. */
const slopeOf = (values: number[]): number => {
  const middle = (values.length - 1) / 2
  const mean = values.reduce((sum, value) => sum + value, 0) / values.length
  let above = 0
  let below = 0
  for (const [at, value] of values.entries()) {
    above += (at - middle) * (value - mean)
    below += (at - middle) ** 2
  }
  return below === 0 ? 0 : above / below
}

export const exhaustionFaults: Fault[] = [idleConnections, bodies, manyOfOne, steady]
