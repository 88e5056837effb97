import { join, resolve } from 'node:path'
import { type Client, client } from './http.ts'
import { freePort, scratch, spawn, stop, until } from './processes.ts'

const root = join(import.meta.dir, '../..')
export const binary = resolve(root, process.env.TEST_BINARY ?? 'dist/taskwarden')

export type Settings = Record<string, string>

/** Without rate limits where they are not the subject, and with cheap hashing. */
const common: Settings = {
  HOST: '127.0.0.1',
  JWT_SECRET: 'a secret that is long enough for the tests',
  BCRYPT_COST: '4',
  BCRYPT_QUEUE_MAX: '1000',
  RATE_LIMIT: '1000000',
  LOGIN_ATTEMPTS: '1000000',
  LOGIN_ATTEMPTS_PER_ACCOUNT: '1000000',
  LOGIN_ATTEMPTS_PER_ADDRESS: '1000000',
  DRAIN_MS: '0',
  LOG_LEVEL: 'warn',
}

export type Instance = ReturnType<typeof launch>
let launched = 0

/** Starts the binary on a free port. It may not be ready or listening yet. */
export const launch = (settings: Settings) => {
  const port = freePort()
  const log = join(scratch(), `instance-${launched++}.log`)
  const startedAt = performance.now()
  const child = spawn([binary], {
    env: { HOME: '/nonexistent', ...common, ...settings, PORT: String(port) },
    log,
  })

  const status = async (path: string): Promise<number | undefined> => {
    const probe = client(port)
    try {
      return (await probe.send({ method: 'GET', path }, 1000)).status
    } catch {
      return undefined
    } finally {
      probe.close()
    }
  }

  return {
    port,
    child,
    startedAt,
    output: () => Bun.file(log).text(),
    client: (): Client => client(port),
    /** The status of a GET; undefined if there is no response within a second. */
    status,
    /** Milliseconds from now until the instance is ready. */
    ready: (withinMs = 30_000) =>
      until(
        `instance on ${port} ready`,
        async () => {
          if (child.exitCode !== null)
            throw new Error(`exited with ${child.exitCode}: ${await Bun.file(log).text()}`)
          return (await status('/ready')) === 200
        },
        { withinMs, everyMs: 5 },
      ),
    /** Resident memory in bytes, including the mapped program file. */
    rss: async (): Promise<number> => {
      const text = await Bun.file(`/proc/${child.pid}/status`).text()
      return Number(/^VmRSS:\s+(\d+) kB/m.exec(text)?.[1] ?? 0) * 1024
    },
    isRunning: () => child.exitCode === null && child.signalCode === null,
    stop: (signal: NodeJS.Signals = 'SIGTERM') => stop(child, signal),
  }
}
