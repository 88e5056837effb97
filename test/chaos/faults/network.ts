import { burst } from '../burst.ts'
import type { Client } from '../http.ts'
import { type Instance, launch } from '../instance.ts'
import { until } from '../processes.ts'
import { type FaultProxy, faultProxy, type Mode } from '../proxy.ts'
import { quantile, type Totals } from '../report.ts'
import type { Fault, Stage } from '../stage.ts'
import { register } from '../user.ts'

/** The default of `DB_TIMEOUT_MS`. */
const deadlineMs = 5000
/** The tolerance for a busy machine. In the short form, several faults run at once beside other work of the gate. */
const slackMs = { full: 1000, short: 4000 }
const idleWorkMsMax = 50

type Scene = {
  instance: Instance
  proxy: FaultProxy
  token: string
  via: Client
  database: string
  /** The latest time for a response. */
  latestMs: number
}

/** One instance that reaches its database only through the fault proxy. */
const onBadNetwork = async (
  { postgres, full }: Stage,
  work: (scene: Scene) => Promise<void>,
  settings: Record<string, string> = {},
) => {
  const proxy = faultProxy(postgres.port)
  const database = await postgres.newDatabase()
  const url = new URL(postgres.urlOf(database))
  url.port = String(proxy.port)
  const instance = launch({ DATABASE_URL: url.href, ...settings })
  const via = instance.client()
  try {
    await instance.ready()
    const { token } = await register(via)
    const latestMs = deadlineMs + slackMs[full ? 'full' : 'short']
    await work({ instance, proxy, token, via, database, latestMs })
  } finally {
    via.close()
    await instance.stop('SIGKILL')
    proxy.stop()
  }
}

/** Reads and writes alternate. */
const asked = (token: string) => (at: number) =>
  at % 2 === 0
    ? { method: 'GET', path: '/api/tasks?limit=1', token }
    : { method: 'POST', path: '/api/tasks', token, body: { title: `${at}` } }

/** Every request has a response by the deadline. At most `others` of them are neither a success nor a refusal. */
const answersInTime = async (
  { instance, token, latestMs }: Scene,
  totals: Totals,
  others: readonly number[],
  count = 40,
) => {
  let slowestMs = 0
  for (const outcome of await burst([instance.port], count, asked(token))) {
    totals.count('meanwhile', outcome, others)
    if (outcome instanceof Error) continue
    slowestMs = Math.max(slowestMs, outcome.ms)
    totals.hold(`an answer after ${outcome.ms.toFixed(0)} ms`, outcome.ms < latestMs)
  }
  totals.fact(`all answered after ${slowestMs.toFixed(0)} ms`)
}

/** Milliseconds until a write succeeds again. */
const recovery = async ({ via, token, instance }: Scene, totals: Totals) => {
  const from = performance.now()
  const sent = { method: 'POST', path: '/api/tasks', token, body: { title: 'again' } }
  for (;;) {
    const answer = await via.send(sent).catch((error: Error) => error)
    if (totals.count('afterwards', answer, [201]) !== undefined) break
    if (performance.now() - from > 20_000) return totals.fail('it never wrote again')
    await Bun.sleep(20)
  }
  totals.recovered(performance.now() - from)
  totals.hold('it exited', instance.isRunning())
  // More than once over all connections: none may hang.
  for (const outcome of await burst([instance.port], 40, asked(token)))
    totals.count('afterwards', outcome, [200, 201])
}

const connectsPerSecondMax = 60

const badly = (
  name: string,
  mode: Mode,
  delayMs = 0,
  settings: Record<string, string> = {},
): Fault => ({
  name,
  waits: true,
  run: (stage, totals) =>
    onBadNetwork(
      stage,
      async (scene) => {
        for (let round = 0; round < (stage.full ? 5 : 1); round++) {
          totals.rounds++
          // A slow connection is not a lost one: the service responds or refuses in time.
          const others = mode === 'delay' || mode === 'slow-connect' ? [200, 201] : []
          const [before, from] = [scene.proxy.accepted(), performance.now()]
          // If the fault affects new connections only, new connections are necessary.
          if (mode === 'silent' || mode === 'slow-connect') scene.proxy.set('reset')
          scene.proxy.set(mode, delayMs)
          await answersInTime(scene, totals, others)
          const seconds = Math.max(1, (performance.now() - from) / 1000)
          const calls = scene.proxy.accepted() - before
          totals.hold(
            `called the database ${calls} times in ${seconds.toFixed(1)} s`,
            calls <= (seconds + 1) * connectsPerSecondMax,
          )
          scene.proxy.set('pass')
          await recovery(scene, totals)
        }
      },
      settings,
    ),
})

/** Routes without a database stay fast while all other requests wait for it. */
const exhausted: Fault = {
  name: 'pool exhausted',
  waits: true,
  run: (stage, totals) =>
    onBadNetwork(
      stage,
      async (scene) => {
        const { instance, token } = scene
        for (let round = 0; round < (stage.full ? 5 : 1); round++) {
          totals.rounds++
          scene.proxy.set('drop')
          const waiting = burst([instance.port], 200, asked(token))
          let over = false
          void waiting.then(() => {
            over = true
          })
          const idle: number[] = []
          const via = instance.client()
          while (!over) {
            for (const [path, status] of [
              ['/health', 200],
              ['/api/tasks', 401],
            ] as const) {
              const outcome = await via.send({ method: 'GET', path }).catch((e: Error) => e)
              const answer = totals.count(path, outcome, [status])
              if (answer !== undefined) idle.push(answer.ms)
            }
            await Bun.sleep(10)
          }
          via.close()
          const outcomes = await waiting
          for (const outcome of outcomes) {
            totals.count('without a turn', outcome, [])
            if (!(outcome instanceof Error))
              totals.hold(
                `an answer after ${outcome.ms.toFixed(0)} ms`,
                outcome.ms < scene.latestMs,
              )
          }
          // Other work of the gate runs at the same time.
          const most = quantile(idle, stage.full ? 0.95 : 0.5)
          totals.hold(`/health and 401 took ${most.toFixed(0)} ms`, most < idleWorkMsMax)
          const p95 = quantile(idle, 0.95)
          totals.fact(`/health and 401 p95 ${p95.toFixed(1)} ms of ${idle.length}`)
          scene.proxy.set('pass')
          await recovery(scene, totals)
        }
      },
      { DB_POOL_MAX: '4' },
    ),
}

/** The write is committed, and its response is lost: a client that repeats it without a key writes twice. */
const answersLost: Fault = {
  name: 'answers lost',
  waits: true,
  run: (stage, totals) =>
    onBadNetwork(
      stage,
      async (scene) => {
        const { instance, proxy, token, via } = scene
        for (let round = 0; round < (stage.full ? 20 : 3); round++) {
          totals.rounds++
          const title = Bun.randomUUIDv7()
          const made = await via.send({
            method: 'POST',
            path: '/api/tasks',
            token,
            body: { title },
          })
          const path = `/api/tasks/${made.body.id}`
          const toggle = { method: 'PATCH', path: `${path}/complete`, token }
          // Prepared first: an unprepared statement needs a reply of the server before it runs.
          await via.send(toggle)
          // The notification of this write uses the only connection too.
          await Bun.sleep(200)
          proxy.set('mute')
          const toggling = burst([instance.port], 1, () => toggle)
          await until('the toggle is done', async () => {
            const [row] = await stage.postgres.tell(
              `select version from tasks where title = '${title}'`,
              scene.database,
            )
            return row?.version === 3
          })
          proxy.set('reset')
          proxy.set('pass')
          for (const outcome of await toggling) totals.count('its answer is lost', outcome, [])
          const task = totals.count(
            'the task',
            await via.send({ method: 'GET', path, token }),
            [200],
          )
          const version = task?.body.version
          if (version !== 3) totals.lose(`toggled twice, and its version is ${version}, not 3`)
        }
      },
      { DB_POOL_MAX: '1' },
    ),
}

export const networkFaults: Fault[] = [
  badly('accept, then close', 'close'),
  badly('connections reset', 'reset'),
  badly('silent accept', 'silent'),
  badly('3 s connect', 'slow-connect', 3000),
  badly('100 ms of latency', 'delay', 100),
  badly('every byte dropped', 'drop'),
  badly('every byte dropped, counters too', 'drop', 0, { RATE_LIMIT_STORE: 'postgres' }),
  badly('half-open connections', 'half-open'),
  badly('server vanished', 'vanished'),
  answersLost,
  exhausted,
]
