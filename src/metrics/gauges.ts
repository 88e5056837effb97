import { readdirSync } from 'node:fs'
import { cpuUsage, memoryUsage } from 'node:process'
import { Counter, Gauge, Histogram, type Registry } from 'prom-client'
import { version } from '../../package.json' with { type: 'json' }
import type { PoolState } from '../db/database.ts'
import { type LiveParts, registerLiveGauges } from './live-gauges.ts'

export type PasswordLoad = { hashing: number; waiting: number; waitingMax: number; refused: number }

/** The state of the process and its listener. */
export type ProcessState = {
  /** Requests whose response is not sent completely. */
  inFlight: () => number
  pool: () => PoolState
  /** Reports repeatedly how late the event loop is, in seconds. */
  watchEventLoopLag: (report: (seconds: number) => void) => void
}

type Needs = {
  live: () => LiveParts
  processState: ProcessState
  passwordLoad: () => PasswordLoad
  isReady: () => Promise<boolean>
}

/** How long a scrape waits for the readiness check, which a frozen database delays. */
const readyMsMax = 1000

/** Gauges and counters that are read at each scrape. Only the event-loop lag is measured in between. */
export const registerGauges = (
  registry: Registry,
  { processState, passwordLoad, live, isReady }: Needs,
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
    help: 'Always 1; the labels have the versions.',
    labelNames: ['version', 'bun'],
    registers: [registry],
  }).set({ version, bun: Bun.version }, 1)
  now('taskwarden_ready', '1 if /ready is 200, otherwise 0.', async () =>
    Number(await Promise.race([isReady(), Bun.sleep(readyMsMax).then(() => false)])),
  )
  now(
    'http_requests_in_flight',
    'Requests whose response is not sent completely.',
    processState.inFlight,
  )

  now('taskwarden_database_connections_max', 'DB_POOL_MAX.', () => processState.pool().max)
  now('taskwarden_database_connections_used', 'Connections in use.', () => processState.pool().used)
  now(
    'taskwarden_database_waiting',
    'Statements that wait for a connection.',
    () => processState.pool().waiting,
  )

  now('taskwarden_bcrypt_active', 'Passwords being hashed.', () => passwordLoad().hashing)
  now('taskwarden_bcrypt_waiting', 'Passwords that wait.', () => passwordLoad().waiting)
  now('taskwarden_bcrypt_waiting_max', 'BCRYPT_QUEUE_MAX.', () => passwordLoad().waitingMax)
  rising(
    'taskwarden_bcrypt_refused_total',
    'Passwords refused (503) because the queue was full.',
    () => passwordLoad().refused,
  )

  registerLiveGauges(now, live)

  now('process_resident_memory_bytes', 'Resident memory.', () => memoryUsage().rss)
  now('process_js_heap_used_bytes', 'Memory of JavaScript objects.', () => memoryUsage().heapUsed)
  now(
    'process_start_time_seconds',
    'Start time of the process, in seconds since 1970.',
    () => performance.timeOrigin / 1000,
  )
  rising('process_cpu_seconds_total', 'User and system CPU time.', () => {
    const { user, system } = cpuUsage()
    return (user + system) / 1e6
  })
  now('process_open_fds', 'Open file descriptors; 0 if the system does not report them.', openFiles)

  const lag = new Histogram({
    name: 'event_loop_lag_seconds',
    help: 'How late timers fired: how long other work blocked the event loop.',
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
