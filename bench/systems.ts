import { openSync } from 'node:fs'
import { join } from 'node:path'
import { freePort } from './postgres.ts'

const here = import.meta.dir
const peers = join(here, 'peers')

export type Context = { folder: string; env: Record<string, string> }
export type System = { name: string; port: number; pid: number; stop: () => Promise<void> }

type Kind = {
  /** The requirement of the system. */
  prepare?: () => Promise<void>
  command: (port: number) => string[]
  cwd?: string
}

const venv = join(peers, 'fastapi/node_modules/.venv')

const previousBinary = () => {
  const { PREVIOUS } = process.env
  if (!PREVIOUS) throw new Error('set PREVIOUS to the binary of the version to compare with')
  return PREVIOUS
}

/** All systems except pgbench, which is no server. Each is one process, like taskwarden. */
export const kinds: Record<string, Kind> = {
  taskwarden: {
    prepare: () =>
      once(join(here, '../dist/taskwarden'), ['bun', 'run', 'build'], join(here, '..')),
    command: () => [join(here, '../dist/taskwarden')],
  },
  previous: { command: () => [previousBinary()] },
  bare: { command: () => ['bun', join(peers, 'bare/server.mjs')] },
  hono: {
    prepare: () =>
      once(join(peers, 'hono/node_modules'), ['bun', 'install', '--frozen-lockfile'], 'hono'),
    command: () => ['bun', join(peers, 'hono/server.mjs')],
  },
  fastify: {
    prepare: () =>
      once(join(peers, 'fastify/node_modules'), ['npm', 'ci', '--ignore-scripts'], 'fastify'),
    command: () => ['node', join(peers, 'fastify/server.mjs')],
  },
  fastapi: {
    prepare: async () => {
      await once(venv, ['python3', '-m', 'venv', venv], 'fastapi')
      const pip = [join(venv, 'bin/pip'), 'install', '--no-deps', '-r', 'requirements.txt']
      await once(join(venv, 'bin/uvicorn'), pip, 'fastapi')
    },
    command: (port) => [
      ...[join(venv, 'bin/uvicorn'), 'server:app', '--host', '127.0.0.1', '--port', String(port)],
      ...['--loop', 'uvloop', '--http', 'httptools', '--no-access-log', '--log-level', 'warning'],
    ],
    cwd: join(peers, 'fastapi'),
  },
}

const once = async (made: string, command: string[], folder: string) => {
  const probe = Bun.spawn(['test', '-e', made])
  if ((await probe.exited) === 0) return
  console.log(`preparing: ${command.join(' ')}`)
  const child = Bun.spawn(command, {
    cwd: folder.startsWith('/') ? folder : join(peers, folder),
    stdout: 'ignore',
    stderr: 'inherit',
  })
  if ((await child.exited) !== 0) throw new Error(`${command.join(' ')} failed`)
}

const startedWithinMs = 30_000

/** Starts a system and waits until it responds. Its log goes to a file, as in production. */
export const start = async (of: string, { folder, env }: Context, name = of): Promise<System> => {
  const kind = kinds[of]
  if (kind === undefined) throw new Error(`there is no ${of}; there are: ${Object.keys(kinds)}`)
  await kind.prepare?.()
  const port = await freePort()
  const log = openSync(join(folder, `${name}.log`), 'a')
  const child = Bun.spawn(kind.command(port), {
    cwd: kind.cwd ?? folder,
    env: {
      PATH: process.env.PATH ?? '',
      HOME: folder,
      NODE_ENV: 'production',
      PYTHONDONTWRITEBYTECODE: '1',
      ...env,
      PORT: `${port}`,
    },
    stdin: 'ignore',
    stdout: log,
    stderr: log,
  })
  const stop = async () => {
    child.kill('SIGTERM')
    const timer = setTimeout(() => child.kill('SIGKILL'), 5000)
    await child.exited
    clearTimeout(timer)
  }
  const deadline = performance.now() + startedWithinMs
  for (;;) {
    try {
      const { status } = await fetch(`http://127.0.0.1:${port}/api/tasks`)
      if (status === 401) return { name, port, pid: child.pid, stop }
    } catch {
      // Not listening yet.
    }
    if (child.exitCode !== null || performance.now() > deadline) {
      await stop()
      throw new Error(
        `${name} did not start: ${await Bun.file(join(folder, `${name}.log`)).text()}`,
      )
    }
    await Bun.sleep(50)
  }
}
