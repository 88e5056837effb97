import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createAccessTokens, load, restore, taskId } from './fixture.ts'
import { freePort, startPostgres } from './postgres.ts'
import { cpuSecondsOf, rssMbOf } from './processes.ts'

/*
 * Latency at fixed rates from 1 000 keep-alive connections: what a thousand users notice who do not wait for each other.
 *
 * Requests are due at random times (a Poisson process), whatever the responses, and a latency counts from the time at
 * which its request was due. A closed loop sends less while responses are slow, and so hides them. wrk2 was not used,
 * because it sends the requests of many connections in the same moment of each second. `bun run build` first.
 */

const { RATES = '250,500,1000,2000,3000', WORKLOADS = 'list,mix', ROUNDS = '3' } = process.env
const connectionCount = 1000
const [warmUpMs, measuredMs] = [5000, 20_000]
const size = { users: 10_000, tasksPerUser: 20 }
const secret = 'a secret that is long enough for the benchmark'

const folder = await mkdtemp(join(tmpdir(), 'taskwarden-open-loop-'))
const database = await startPostgres(folder)
const port = await freePort()
const env = {
  DATABASE_URL: database.url,
  JWT_SECRET: secret,
  PORT: `${port}`,
  RATE_LIMIT: '1000000',
  ...Object.fromEntries(
    Object.entries(process.env).filter(([name]) => name.startsWith('BUN_JSC_')),
  ),
  DRAIN_MS: '0',
}
const binary = join(import.meta.dir, '../dist/taskwarden')
if ((await Bun.spawn([binary, 'migrate'], { env, stdout: 'ignore' }).exited) !== 0)
  throw new Error('the migrations failed')
const sql = await load(database.url, size)
const tokens = createAccessTokens(secret, size.users)
const service = Bun.spawn([binary], { env, stdout: Bun.file(join(folder, 'log')) })
while (!(await fetch(`http://127.0.0.1:${port}/ready`).catch(() => undefined))?.ok)
  await Bun.sleep(50)

const below = (limit: number) => Math.floor(Math.random() * limit)
const request = (method: string, path: string, user: number, body?: string) =>
  `${method} ${path} HTTP/1.1\r\nHost: 127.0.0.1\r\nAuthorization: Bearer ${tokens[user - 1]}\r\n` +
  (body === undefined
    ? '\r\n'
    : `Content-Type: application/json\r\nContent-Length: ${body.length}\r\n\r\n${body}`)

/** The requests of `workloads.lua`; the mix has no deletions, which would need a task each. */
const workloads: Record<string, () => string> = {
  list: () => request('GET', '/api/tasks?limit=20', 1 + below(size.users)),
  read: () => {
    const user = 1 + below(size.users)
    return request('GET', `/api/tasks/${taskId(user, 11 + below(9))}`, user)
  },
  create: () =>
    request('POST', '/api/tasks', 1 + below(size.users), '{"title":"Order new filters"}'),
  toggle: () => {
    const user = 1 + below(size.users)
    return request('PATCH', `/api/tasks/${taskId(user, 1 + below(10))}/complete`, user)
  },
  mix: () => {
    const die = below(100)
    const name = die < 38 ? 'list' : die < 76 ? 'read' : die < 88 ? 'create' : 'toggle'
    return workloads[name]?.() ?? ''
  },
}

/** One request at a time; `answered` is called with the status of its response. */
const connectClient = async (answered: (client: Client, status: number) => void) => {
  let rest = ''
  const client: Client = { send: () => {}, dueAt: 0, end: () => {} }
  const socket = await Bun.connect({
    hostname: '127.0.0.1',
    port,
    socket: {
      data: (_, bytes) => {
        // Bodies are ASCII, so that characters are bytes.
        rest += bytes.toString('latin1')
        const head = rest.indexOf('\r\n\r\n')
        if (head < 0) return
        const [, length = '0'] = /content-length: (\d+)/i.exec(rest.slice(0, head)) ?? []
        if (rest.length < head + 4 + Number(length)) return
        const status = Number(rest.slice(9, 12))
        rest = ''
        answered(client, status)
      },
      close: () => answered(client, 0),
    },
  })
  client.send = (text) => void socket.write(text)
  client.end = () => socket.terminate()
  return client
}
type Client = { send: (text: string) => void; dueAt: number; end: () => void }

const attack = async (workload: () => string, rate: number) => {
  const latencies: number[] = []
  let errors = 0
  let isOver = false
  const due: number[] = []
  const startedAt = performance.now()
  const countFrom = startedAt + warmUpMs
  const idle: Client[] = []
  const send = (client: Client, dueAt: number) => {
    client.dueAt = dueAt
    client.send(workload())
  }
  const answered = (client: Client, status: number) => {
    if (isOver) return
    if (client.dueAt >= countFrom) latencies.push(performance.now() - client.dueAt)
    if (status < 200 || status > 299) errors++
    const next = due.shift()
    if (next === undefined) idle.push(client)
    else send(client, next)
  }
  const clients = await Promise.all(
    Array.from({ length: connectionCount }, () => connectClient(answered)),
  )
  idle.push(...clients)

  const cpu = cpuSecondsOf(service.pid)
  let nextAt = performance.now()
  const endAt = countFrom + measuredMs
  while (performance.now() < endAt) {
    const now = performance.now()
    while (nextAt <= now) {
      // The connection that has been idle for longest: all of them are used.
      const client = idle.shift()
      if (client) send(client, nextAt)
      else due.push(nextAt)
      nextAt -= Math.log(1 - Math.random()) * (1000 / rate)
    }
    await Bun.sleep(1)
  }
  const seconds = (performance.now() - startedAt) / 1000
  const used = (cpuSecondsOf(service.pid) - cpu) / seconds
  const rssMb = Math.round(rssMbOf(service.pid))
  isOver = true
  for (const { end } of clients) end()
  latencies.sort((a, b) => a - b)
  const at = (share: number) =>
    Number((latencies[Math.floor(latencies.length * share)] ?? Number.NaN).toFixed(1))
  return {
    reached: Math.round(latencies.length / (measuredMs / 1000)),
    ...{ p50: at(0.5), p95: at(0.95), p99: at(0.99), max: at(0.9999), waiting: due.length, errors },
    cpu: Number(used.toFixed(2)),
    rssMb,
  }
}

try {
  const rows = []
  for (let round = 0; round < Number(ROUNDS); round++)
    for (const name of WORKLOADS.split(','))
      for (const rate of RATES.split(',').map(Number)) {
        const workload = workloads[name]
        if (workload === undefined) throw new Error(`there is no workload ${name}`)
        const row = { name, rate, ...(await attack(workload, rate)) }
        rows.push(row)
        console.log(JSON.stringify(row))
        await restore(sql)
      }
  console.table(rows.toSorted((a, b) => a.name.localeCompare(b.name) || a.rate - b.rate))
} finally {
  service.kill()
  await service.exited
  await sql.end()
  await database.stop()
  await rm(folder, { recursive: true, force: true })
}
