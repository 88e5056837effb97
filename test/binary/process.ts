import { mkdtemp, rm } from 'node:fs/promises'
import { connect } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import postgres from 'postgres'

const root = join(import.meta.dir, '../..')
const command = process.env.TEST_BINARY ? [process.env.TEST_BINARY] : ['bun', 'src/main.ts']
const startedWithinMs = 20_000
if (process.env.TEST_BINARY && Bun.which(process.env.TEST_BINARY) === null) {
  console.error(`TEST_BINARY: there is no program ${process.env.TEST_BINARY}: run bun run build`)
  process.exit(1)
}

const running = new Set<Bun.Subprocess>()
const folders: string[] = []
const databases: string[] = []

/** The processes that this file has started. */
export const cleanUp = async () => {
  for (const child of running) child.kill('SIGKILL')
  await Promise.all([...running].map(({ exited }) => exited))
  await Promise.all(folders.map((folder) => rm(folder, { recursive: true, force: true })))
  for (const name of databases) await administer(`drop database if exists ${name} with (force)`)
}

export const folder = async () => {
  const path = await mkdtemp(join(tmpdir(), 'taskwarden-'))
  folders.push(path)
  return path
}

/** Settings that name a new database, by kind. */
export const embedded = async () => ({ DATA_DIR: await folder() })
export const onPostgres = async () => {
  const JWT_SECRET = 'a secret that is long enough for the tests'
  // The tables of this one are distributed (test:citus).
  const { CITUS_URL } = process.env
  if (CITUS_URL !== undefined) return { DATABASE_URL: CITUS_URL, JWT_SECRET }
  const name = `binary_${Bun.randomUUIDv7().replaceAll('-', '')}`
  await administer(`create database ${name}`)
  databases.push(name)
  const url = new URL(process.env.TEST_DATABASE_URL ?? '')
  url.pathname = `/${name}`
  return { DATABASE_URL: url.href, JWT_SECRET }
}

/** The databases to test on. */
export const kinds = [
  ['the embedded database', embedded],
  ...(process.env.TEST_DATABASE_URL ? [['PostgreSQL', onPostgres] as const] : []),
] as const

/** The timeout of a test that starts processes, in milliseconds. */
export const patience = 60_000

const administer = async (statement: string) => {
  const sql = postgres(process.env.TEST_DATABASE_URL ?? '', { max: 1, onnotice: () => {} })
  await sql.unsafe(statement)
  await sql.end()
}

type Line = Record<string, unknown>

/** Starts a command with exactly these settings. */
export const begin = (args: string[], settings: Record<string, string> = {}, input?: string) => {
  const child = Bun.spawn([...command, ...args], {
    cwd: root,
    env: { PATH: process.env.PATH ?? '', HOME: '/nonexistent', BCRYPT_COST: '4', ...settings },
    stdin: input === undefined ? 'ignore' : Buffer.from(input),
    stdout: 'pipe',
    stderr: 'pipe',
  })
  running.add(child)
  return child
}

/** Runs a command to its end. */
export const invoke = async (...given: Parameters<typeof begin>) => {
  const child = begin(...given)
  const [out, err, code] = await Promise.all([
    child.stdout.text(),
    child.stderr.text(),
    child.exited,
  ])
  running.delete(child)
  return { code, out, err }
}

/** Starts the service with exactly these settings. */
export const run = (settings: Record<string, string>) => {
  const child = Bun.spawn(command, {
    cwd: root,
    env: {
      PATH: process.env.PATH ?? '',
      HOME: '/nonexistent',
      PORT: '0',
      BCRYPT_COST: '4',
      DRAIN_MS: '0',
      ...settings,
    },
    stdout: 'pipe',
    stderr: 'pipe',
  })
  running.add(child)
  void child.exited.then(() => running.delete(child))

  const lines: string[] = []
  const waiting = new Set<() => void>()
  const reading = (async () => {
    let rest = ''
    for await (const text of child.stdout.pipeThrough(new TextDecoderStream())) {
      const parts = (rest + text).split('\n')
      rest = parts.pop() ?? ''
      lines.push(...parts)
      for (const wake of waiting) wake()
    }
    for (const wake of waiting) wake()
  })()
  const stderr = new Response(child.stderr).text()

  const logged = async (event: string): Promise<Line> => {
    const deadline = performance.now() + startedWithinMs
    for (;;) {
      const found = lines.map((line): Line => JSON.parse(line)).find((line) => line.event === event)
      if (found) return found
      if (child.exitCode !== null || performance.now() > deadline)
        throw new Error(`never logged ${event}: ${lines.join('\n')} ${await stderr}`)
      const { promise, resolve } = Promise.withResolvers<void>()
      waiting.add(resolve)
      await Promise.race([promise, child.exited, Bun.sleep(1000)])
      waiting.delete(resolve)
    }
  }

  return {
    child,
    lines,
    stderr,
    logged,
    /** The exit code, when all output was read. */
    ended: async () => {
      const code = await child.exited
      await reading
      return code
    },
  }
}

/** A service that is migrated and ready. */
export const start = async (settings: Record<string, string>) => {
  const process = run(settings)
  const { url } = await process.logged('listening')
  await process.logged('ready')
  const { port } = new URL(String(url))
  const origin = `http://127.0.0.1:${port}`

  const call = async (
    method: string,
    path: string,
    {
      body,
      token,
      headers,
    }: { body?: unknown; token?: string; headers?: Record<string, string> } = {},
  ) => {
    const response = await fetch(origin + path, {
      method,
      headers: {
        ...(token && { authorization: `Bearer ${token}` }),
        ...(body !== undefined && { 'content-type': 'application/json' }),
        ...headers,
      },
      ...(body !== undefined && {
        body: body instanceof ReadableStream ? body : JSON.stringify(body),
      }),
    })
    const text = await response.text()
    const { status, headers: answered } = response
    // biome-ignore lint/suspicious/noExplicitAny: a test reads bodies of any shape
    const parsed: any =
      answered.get('content-type')?.includes('json') && text ? JSON.parse(text) : undefined
    return { status, headers: answered, text, body: parsed }
  }

  const password = 'correct horse battery'
  const someone = async () => {
    const email = `${Bun.randomUUIDv7()}@example.test`
    const { body } = await call('POST', '/api/auth/register', { body: { email, password } })
    return { email, password, id: body.user.id as string, token: body.access_token as string }
  }

  return {
    ...process,
    port: Number(port),
    origin,
    call,
    someone,
    /** Sends bytes, and returns the reply when the server closes or is silent for `quietMs`. */
    raw: (text: string, quietMs = 300) => raw(Number(port), text, quietMs),
    stop: async (signal: NodeJS.Signals = 'SIGTERM') => {
      process.child.kill(signal)
      return process.ended()
    },
  }
}

export type RunningService = Awaited<ReturnType<typeof start>>

const raw = (port: number, text: string, quietMs: number): Promise<string> =>
  new Promise((resolve) => {
    let answer = ''
    const socket = connect(port, '127.0.0.1', () => socket.write(text, 'latin1'))
    socket.setTimeout(quietMs, () => socket.destroy())
    socket.on('data', (data) => (answer += data.toString('latin1')))
    socket.on('error', () => {})
    socket.on('close', () => resolve(answer))
  })
