import { mkdtemp, rm } from 'node:fs/promises'
import { createConnection, type Socket } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import postgres from 'postgres'
import { freePort, startPostgres } from './postgres.ts'
import { rssMbOf } from './processes.ts'

/*
 * What event streams cost: memory and statements while they are idle, the time until a change arrives, and the
 * throughput of writes with and without them. `bun run build` first.
 */

const perUser = 10
const [idleStreams, otherStreams, streamsDuringWrites] = [5000, 2000, 1000]
const idleSeconds = 20
const [rounds, roundMs, writers] = [6, 3000, 16]

const folder = await mkdtemp(join(tmpdir(), 'taskwarden-streams-'))
const database = await startPostgres(folder)
const port = await freePort()
const origin = `http://127.0.0.1:${port}`
const service = Bun.spawn([join(import.meta.dir, '../dist/taskwarden')], {
  env: {
    DATABASE_URL: database.url,
    JWT_SECRET: 'a secret that is long enough for the benchmark',
    PORT: `${port}`,
    BCRYPT_COST: '4',
    RATE_LIMIT: '1000000',
    LOGIN_ATTEMPTS_PER_ADDRESS: '1000000',
    DRAIN_MS: '0',
  },
  stdout: Bun.file(join(folder, 'log')),
  stderr: 'inherit',
})
while (!(await fetch(`${origin}/ready`).catch(() => undefined))?.ok) await Bun.sleep(50)
const sql = postgres(database.url, { max: 1, onnotice: () => {} })

const signUp = async (): Promise<string> => {
  const response = await fetch(`${origin}/api/auth/register`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({
      email: `${Bun.randomUUIDv7()}@example.test`,
      password: 'correct horse battery',
    }),
  })
  if (response.status !== 201) throw new Error(`sign-up: ${response.status}`)
  return ((await response.json()) as { access_token: string }).access_token
}

const write = (token: string) =>
  fetch(`${origin}/api/tasks`, {
    method: 'POST',
    headers: { authorization: `Bearer ${token}`, 'content-type': 'application/json' },
    body: '{"title":"x"}',
  })

/** Opens a stream, and calls back with each chunk. */
const open = (token: string, onData: (text: string) => void = () => {}): Promise<Socket> =>
  new Promise((resolve, reject) => {
    const socket = createConnection(port, '127.0.0.1', () =>
      socket.write(
        `GET /api/tasks/events HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer ${token}\r\n\r\n`,
      ),
    )
    socket.once('error', reject)
    socket.on('data', (data) => {
      const text = data.toString()
      if (text.includes('event: ready')) resolve(socket)
      else onData(text)
    })
  })

const openMany = async (tokens: string[], onData?: (text: string) => void) => {
  const sockets: Socket[] = []
  for (const token of tokens)
    sockets.push(...(await Promise.all(Array.from({ length: perUser }, () => open(token, onData)))))
  return sockets
}
const closeAll = async (sockets: Socket[]) => {
  for (const socket of sockets) socket.destroy()
  await Bun.sleep(1000)
}
const statements = async () => {
  const [row] = await sql`select sum(xact_commit)::int as count from pg_stat_database`
  return Number(row?.count)
}
const median = (values: number[]) => values.toSorted((a, b) => a - b)[values.length >> 1] ?? 0
const p95 = (values: number[]) =>
  values.toSorted((a, b) => a - b)[Math.floor(values.length * 0.95)] ?? 0

const tokens: string[] = []
while (tokens.length < idleStreams / perUser) tokens.push(await signUp())

// Idle streams. The first ones warm the process up.
await closeAll(await openMany(tokens.slice(0, 50)))
const before = rssMbOf(service.pid)
const idle = await openMany(tokens)
// The server reports statistics up to ten seconds late.
await Bun.sleep(15_000)
const counted = await statements()
await Bun.sleep(idleSeconds * 1000)
const perSecond = ((await statements()) - counted) / idleSeconds
const grownKb = ((rssMbOf(service.pid) - before) * 1024) / idle.length
console.log(
  `${idle.length} idle streams: ${grownKb.toFixed(1)} KB each, ${perSecond.toFixed(2)} transactions per second in all`,
)
await closeAll(idle)

// The time from a write to the arrival of its change at all streams of the user.
const others = await openMany(tokens.slice(0, otherStreams / perUser))
const writer = await signUp()
let arrived = 0
let all = Promise.withResolvers<void>()
const own = await openMany([writer], (text) => {
  if (text.includes('event: upsert') && ++arrived === perUser) all.resolve()
})
const times: number[] = []
for (let n = 0; n < 200; n++) {
  arrived = 0
  all = Promise.withResolvers()
  const startedAt = performance.now()
  await write(writer)
  await all.promise
  times.push(performance.now() - startedAt)
  await Bun.sleep(150)
}
console.log(
  `a write reaches its ${perUser} streams with ${otherStreams} others open: median ${median(times).toFixed(1)} ms, ` +
    `p95 ${p95(times).toFixed(1)} ms`,
)
await closeAll([...others, ...own])

// Writes per second, in turn with and without streams; the streams are of other users, or of the writers.
const throughput = async (by: string[]) => {
  const until = performance.now() + roundMs
  let count = 0
  await Promise.all(
    Array.from({ length: writers }, async (_, n) => {
      while (performance.now() < until) {
        await (await write(by[n % by.length] ?? '')).arrayBuffer()
        count++
      }
    }),
  )
  return (count * 1000) / roundMs
}
const strangers = tokens.slice(0, streamsDuringWrites / perUser)
const writing = tokens.slice(-writers)
for (const [whose, watched] of [
  ['other users', strangers],
  ['the writers and other users', [...writing, ...strangers.slice(writers)]],
] as const) {
  await throughput(writing)
  const ratios: number[] = []
  for (let round = 0; round < rounds; round++) {
    const without = await throughput(writing)
    const sockets = await openMany([...watched])
    const withStreams = await throughput(writing)
    await closeAll(sockets)
    ratios.push(withStreams / without)
  }
  console.log(
    `writes with ${streamsDuringWrites} streams of ${whose}: ${median(ratios).toFixed(2)} of the throughput without ` +
      `(${ratios.map((one) => one.toFixed(2)).join(', ')})`,
  )
}

service.kill()
await service.exited
await sql.end()
await database.stop()
await rm(folder, { recursive: true, force: true })
process.exit(0)
