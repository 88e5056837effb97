import { readdirSync } from 'node:fs'
import { cpuUsage, memoryUsage } from 'node:process'
import { Counter, Gauge, Histogram, type Registry } from 'prom-client'
import { version } from '../../package.json' with { type: 'json' }
import type { PoolState } from '../db/client.ts'

export type PasswordLoad = { hashing: number; waiting: number; waitingMax: number; refused: number }

/** What only the process and its listener know. */
export type ProcessState = {
  /** Requests whose answer is not sent whole yet. */
  inFlight: () => number
  pool: () => PoolState
  /** Tells, again and again, by how many seconds the event loop was late. */
  watchEventLoopLag: (tell: (seconds: number) => void) => void
}

type Needs = {
  processState: ProcessState
  passwordLoad: () => PasswordLoad
  isReady: () => Promise<boolean>
}

/** How long a scrape waits to hear whether the service is ready: with a frozen database it is not. */
const readyMsMax = 1000

/** What is true at the moment of a scrape; nothing is measured in between, but how late the event loop is. */
export const registerGauges = (
  registry: Registry,
  { processState, passwordLoad, isReady }: Needs,
) => {
  const now = (name: string, help: string, read: () => number | Promise<number>) =>
    new Gauge({
      name,
      help,
      registers: [registry],
      async collect() {
        this.set(await read())
      },
    })
  const rising = (name: string, help: string, read: () => number) =>
    new Counter({
      name,
      help,
      registers: [registry],
      collect() {
        this.reset()
        this.inc(read())
      },
    })

  new Gauge({
    name: 'taskwarden_build_info',
    help: 'Always 1; what runs is in the labels.',
    labelNames: ['version', 'bun'],
    registers: [registry],
  }).set({ version, bun: Bun.version }, 1)
  now('taskwarden_ready', 'What /ready says: 1 ready, 0 not.', async () =>
    Number(await Promise.race([isReady(), Bun.sleep(readyMsMax).then(() => false)])),
  )
  now(
    'http_requests_in_flight',
    'Requests whose answer is not sent whole yet.',
    processState.inFlight,
  )

  now(
    'taskwarden_database_connections_max',
    'Connections that there may be.',
    () => processState.pool().max,
  )
  now('taskwarden_database_connections_used', 'Connections in use.', () => processState.pool().used)
  now(
    'taskwarden_database_waiting',
    'Statements that wait for a connection.',
    () => processState.pool().waiting,
  )

  now('taskwarden_bcrypt_active', 'Passwords being hashed.', () => passwordLoad().hashing)
  now('taskwarden_bcrypt_waiting', 'Passwords that wait for it.', () => passwordLoad().waiting)
  now('taskwarden_bcrypt_waiting_max', 'BCRYPT_QUEUE_MAX.', () => passwordLoad().waitingMax)
  rising(
    'taskwarden_bcrypt_refused_total',
    'Passwords refused (503), the queue being full.',
    () => passwordLoad().refused,
  )

  now('process_resident_memory_bytes', 'Resident memory.', () => memoryUsage().rss)
  now(
    'process_js_heap_used_bytes',
    'Memory that JavaScript objects take.',
    () => memoryUsage().heapUsed,
  )
  now(
    'process_start_time_seconds',
    'When the process started, since 1970.',
    () => performance.timeOrigin / 1000,
  )
  rising('process_cpu_seconds_total', 'User and system CPU time.', () => {
    const { user, system } = cpuUsage()
    return (user + system) / 1e6
  })
  now('process_open_fds', 'Open file descriptors; 0 where the system does not tell.', openFiles)

  const lag = new Histogram({
    name: 'event_loop_lag_seconds',
    help: 'By how much timers were late: how long something else had the event loop.',
    buckets: [0.001, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5],
    registers: [registry],
  })
  processState.watchEventLoopLag((seconds) => lag.observe(seconds))
}

const openFiles = () => {
  try {
    return readdirSync('/proc/self/fd').length
  } catch {
    return 0
  }
}
