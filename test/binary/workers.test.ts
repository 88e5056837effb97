import { afterAll, describe, expect, test } from 'bun:test'
import postgres from 'postgres'
import { openStream } from '../support/event-stream.ts'
import { cleanUp, folder, invoke, onPostgres, patience, run, start } from './process.ts'

afterAll(cleanUp)

const token = 'a-token-for-the-metrics'
const withWorkers = async (settings: Record<string, string> = {}) => ({
  ...(await onPostgres()),
  WORKERS: '2',
  METRICS_TOKEN: token,
  RATE_LIMIT: '100000',
  ...settings,
})

type Service = Awaited<ReturnType<typeof start>>

/** A request on a connection of its own, which the kernel gives to any of the workers. */
const callAnew = (here: Service, path: string, bearer: string, method = 'GET', body?: unknown) =>
  fetch(here.origin + path, {
    method,
    keepalive: false,
    headers: {
      authorization: `Bearer ${bearer}`,
      connection: 'close',
      'content-type': 'application/json',
    },
    ...(body !== undefined && { body: JSON.stringify(body) }),
  })

const scrape = async (here: Service) => (await callAnew(here, '/metrics', token)).text()
const seriesOf = (text: string, name: string) =>
  text.split('\n').filter((line) => line.startsWith(name) && /[{ ]/.test(line[name.length] ?? ''))

/** The processes whose parent is the supervisor, in the order of their start. */
const workersOf = ({ child }: Service): number[] =>
  Bun.spawnSync(['pgrep', '-P', String(child.pid)])
    .stdout.toString()
    .trim()
    .split('\n')
    .filter(Boolean)
    .map(Number)

const isAlive = (pid: number) => {
  try {
    process.kill(pid, 0)
    return true
  } catch {
    return false
  }
}

const until = async (isDone: () => boolean | Promise<boolean>, withinMs = 20_000) => {
  const deadline = performance.now() + withinMs
  while (!(await isDone())) {
    if (performance.now() > deadline) throw new Error('too late')
    await Bun.sleep(50)
  }
}

/** Requests reach a worker that has just been started. */
const untilRunning = (here: Service, restarts: number) =>
  until(async () => {
    // A connection to a process that has just been killed ends.
    const text = await scrape(here).catch(() => '')
    return (
      text.includes(`taskwarden_worker_restarts_total ${restarts}`) &&
      seriesOf(text, 'taskwarden_ready').filter((line) => line.endsWith(' 1')).length === 2
    )
  })

describe.skipIf(!process.env.TEST_DATABASE_URL || process.platform !== 'linux')('WORKERS=2', () => {
  test(
    'serves one port from two processes, whose metrics are on one page',
    async () => {
      const here = await start(await withWorkers())
      const ada = await here.someone()
      expect(workersOf(here)).toHaveLength(2)
      await Promise.all(
        Array.from({ length: 60 }, async () => {
          const response = await callAnew(here, '/api/tasks', ada.token)
          expect(response.status).toBe(200)
          await response.text()
        }),
      )

      const text = await scrape(here)
      const requests = seriesOf(text, 'http_requests_total').filter((line) =>
        line.includes('route="/api/tasks"'),
      )
      expect(requests.map((line) => /worker="(\d)"/.exec(line)?.[1]).toSorted()).toEqual(['1', '2'])
      expect(requests.reduce((sum, line) => sum + Number(line.split(' ').at(-1)), 0)).toBe(60)
      expect(text.match(/^# TYPE http_requests_total /gm)).toHaveLength(1)
      expect(seriesOf(text, 'process_resident_memory_bytes')).toHaveLength(2)
      expect(seriesOf(text, 'taskwarden_workers')).toEqual(['taskwarden_workers 2'])
      expect(here.lines.filter((line) => line.includes('"event":"listening"'))).toHaveLength(1)
      expect(here.lines.filter((line) => line.includes('"event":"ready"'))).toHaveLength(1)
    },
    patience,
  )

  test(
    'counts in memory for all workers: exactly as many requests pass as the limit permits',
    async () => {
      const here = await start(await withWorkers({ RATE_LIMIT: '40' }))
      const ada = await here.someone()
      const statuses = await Promise.all(
        Array.from({ length: 120 }, async () => {
          const response = await callAnew(here, '/api/tasks', ada.token)
          await response.text()
          return response.status
        }),
      )
      expect(statuses.filter((status) => status === 200)).toHaveLength(40)
      expect(statuses.filter((status) => status === 429)).toHaveLength(80)
    },
    patience,
  )

  test(
    'keeps to DB_POOL_MAX with all workers together',
    async () => {
      const settings = await withWorkers({ DB_POOL_MAX: '5' })
      const here = await start(settings)
      const ada = await here.someone()
      const sql = postgres(settings.DATABASE_URL, { max: 1, onnotice: () => {} })
      let most = 0
      let isOver = false
      const watching = (async () => {
        while (!isOver) {
          // Without this connection, and without those that wait for notifications.
          const [row] = await sql`
            select count(*)::int as used from pg_stat_activity
            where datname = current_database() and pid <> pg_backend_pid() and query not ilike 'listen %'`
          most = Math.max(most, row?.used)
        }
      })()
      await Promise.all(
        Array.from({ length: 400 }, async (_, n) =>
          (await callAnew(here, '/api/tasks', ada.token, 'POST', { title: `task ${n}` })).text(),
        ),
      )
      isOver = true
      await watching
      await sql.end()
      expect(most).toBeWithin(2, 6)
      const connections = seriesOf(await scrape(here), 'taskwarden_database_connections_max')
      expect(connections.map((line) => Number(line.split(' ').at(-1))).toSorted()).toEqual([2, 3])
    },
    patience,
  )

  test(
    'a change through one worker reaches the streams of both',
    async () => {
      const here = await start(await withWorkers())
      const ada = await here.someone()
      const streams = await Promise.all(
        Array.from({ length: 8 }, () =>
          openStream(
            { fetch: ({ headers }) => fetch(`${here.origin}/api/tasks/events`, { headers }) },
            { token: ada.token },
          ),
        ),
      )
      const open = seriesOf(await scrape(here), 'taskwarden_streams_open')
      expect(open.reduce((sum, line) => sum + Number(line.split(' ').at(-1)), 0)).toBe(8)

      await callAnew(here, '/api/tasks', ada.token, 'POST', { title: 'for everyone' })
      for (const stream of streams) {
        await stream.until(2)
        expect(stream.events[1]?.data.title).toBe('for everyone')
        await stream.close()
      }
    },
    patience,
  )

  test(
    'a worker that is killed is started again, and loses nothing that was acknowledged',
    async () => {
      const here = await start(await withWorkers({ RATE_LIMIT: '1000' }))
      const ada = await here.someone()
      const [victim = 0] = workersOf(here)
      const acknowledged: string[] = []
      let isOver = false
      const writing = Promise.all(
        Array.from({ length: 8 }, async () => {
          while (!isOver) {
            const send = async () => {
              const made = await callAnew(here, '/api/tasks', ada.token, 'POST', { title: 'x' })
              const { id } = (await made.json()) as { id: string }
              if (made.status === 201) acknowledged.push(id)
            }
            // The connections of the killed process end.
            await send().catch(() => {})
            await Bun.sleep(20)
          }
        }),
      )
      await Bun.sleep(300)
      process.kill(victim, 'SIGKILL')
      await untilRunning(here, 1)
      isOver = true
      await writing

      const tasks: string[] = []
      for (let cursor = ''; ; ) {
        const { body } = await here.call('GET', `/api/tasks?limit=100${cursor}`, {
          token: ada.token,
        })
        tasks.push(...body.tasks.map(({ id }: { id: string }) => id))
        if (body.next_cursor === null) break
        cursor = `&cursor=${body.next_cursor}`
      }
      expect(acknowledged.length).toBeGreaterThan(10)
      expect(acknowledged.filter((id) => !tasks.includes(id))).toEqual([])
      const line = await here.logged('worker ended')
      expect(line).toMatchObject({ level: 'error', signal: 'SIGKILL', restart_ms: 500 })
      // The counts are those of the supervisor: a restart does not forgive.
      const { headers } = await here.call('GET', '/api/tasks', { token: ada.token })
      expect(Number(headers.get('ratelimit-remaining') ?? 'NaN')).toBeLessThan(
        1000 - acknowledged.length,
      )
    },
    patience,
  )

  test(
    'a worker that is frozen is replaced',
    async () => {
      const here = await start(await withWorkers())
      const [victim = 0] = workersOf(here)
      process.kill(victim, 'SIGSTOP')
      // The other worker shows its metrics without those of the frozen one, which gets some of the connections.
      const attempts = await Promise.all(
        Array.from({ length: 12 }, () =>
          fetch(`${here.origin}/metrics`, {
            headers: { authorization: `Bearer ${token}`, connection: 'close' },
            signal: AbortSignal.timeout(10_000),
          }).then(
            async (response) => ({ status: response.status, text: await response.text() }),
            () => undefined,
          ),
        ),
      )
      const answered = attempts.filter((attempt) => attempt !== undefined)
      expect(answered.length).toBeGreaterThan(0)
      for (const { status, text } of answered) {
        expect(status).toBe(200)
        expect(seriesOf(text, 'process_resident_memory_bytes')).toHaveLength(1)
      }
      await until(() => !isAlive(victim), 50_000)
      expect(await here.logged('worker ended')).toMatchObject({
        signal: 'SIGKILL',
        reason: 'it did not respond for 30 seconds',
      })
      await untilRunning(here, 1)
    },
    2 * patience,
  )

  test(
    'SIGTERM drains all workers: no request in flight is dropped, and the port is free',
    async () => {
      const here = await start(await withWorkers({ DRAIN_MS: '500' }))
      const ada = await here.someone()
      const pids = workersOf(here)
      const { body } = await here.call('GET', '/api/tasks/changes', { token: ada.token })
      const waiting = Array.from({ length: 20 }, () =>
        callAnew(here, `/api/tasks/changes?since=${body.next}&wait=20`, ada.token).then(
          async (response) => {
            await response.text()
            return response.status
          },
        ),
      )
      await Bun.sleep(300)
      here.child.kill('SIGTERM')
      expect(await Promise.all(waiting)).toEqual(Array.from({ length: 20 }, () => 200))
      expect(await here.ended()).toBe(0)
      expect(pids.filter(isAlive)).toEqual([])
      expect(here.lines.at(-1)).toContain('"event":"stopped"')
      expect(await here.stderr).toBe('')
      await expect(fetch(here.origin)).rejects.toThrow()
    },
    patience,
  )

  test(
    'workers end when their supervisor was killed',
    async () => {
      const here = await start(await withWorkers())
      const pids = workersOf(here)
      here.child.kill('SIGKILL')
      await until(() => !pids.some(isAlive))
    },
    patience,
  )

  test(
    'a port of another service is refused, although workers share theirs',
    async () => {
      const settings = await withWorkers()
      const here = await start(settings)
      const second = await invoke(['serve'], { ...settings, PORT: String(here.port) })
      expect(second.code).toBe(1)
      expect(second.err).toBe(
        `taskwarden: port ${here.port} is in use by another process; set PORT to a free one\n`,
      )
    },
    patience,
  )

  test(
    'a database that is down is waited for',
    async () => {
      const settings = await withWorkers()
      const url = new URL(settings.DATABASE_URL)
      url.port = '1'
      const waiting = run({ ...settings, DATABASE_URL: url.href })
      await waiting.logged('listening')
      expect(await waiting.logged('waiting for the database')).toMatchObject({ level: 'warn' })
      waiting.child.kill('SIGTERM')
      expect(await waiting.ended()).toBe(0)
    },
    patience,
  )
})

test('an embedded database has one process', async () => {
  const settings = { DATA_DIR: await folder(), PORT: '0' }
  const { code, err } = await invoke(['serve'], { ...settings, WORKERS: '2' })
  expect(code).toBe(78)
  expect(err).toBe(
    'taskwarden: WORKERS: needs PostgreSQL, because only one process can open the embedded database; unset it for 1\n',
  )
  const here = await start({ DATA_DIR: await folder(), WORKERS: 'auto' })
  expect(workersOf(here)).toEqual([])
})

test('a worker without a supervisor is refused', async () => {
  const { code, err } = await invoke(['worker'])
  expect(code).toBe(2)
  expect(err).toContain('worker is started by serve; set WORKERS')
})
