import { type BirpcReturn, createBirpc } from 'birpc'
import type { FleetMetrics, MetricsSnapshot } from '../../metrics/fleet.ts'
import type { RateLimitCounters } from '../../rate-limit/store.ts'

/** What a worker does for the supervisor. */
export type WorkerFunctions = {
  /** Resolves while the event loop of the worker runs. */
  ping: () => void
  metrics: () => Promise<MetricsSnapshot>
}

/** A count, or the code of `RateLimitStoreUnavailable`: an error would lose its class on the way. */
type Counted = Awaited<ReturnType<RateLimitCounters['add']>> | { unavailable: string }

/** Which of the workers this is, from 1 on, and the port that all of them share. */
export type WorkerPlace = { worker: number; workers: number; port: number }

/** What the supervisor does for a worker. */
export type SupervisorFunctions = {
  hello: () => WorkerPlace
  /** The URL of the service, which is the same for all workers. */
  listening: (url: string) => void
  ready: () => void
  /** The counters in the memory of the supervisor, which are those of all workers. */
  add: (key: string, windowMs: number, limit: number) => Counted
  decrement: (key: string) => void
  reset: (key: string) => void
  metrics: () => Promise<FleetMetrics>
}

export type Supervisor = BirpcReturn<SupervisorFunctions, WorkerFunctions>

/** One end of the channel between two processes. */
export type Pipe = {
  send: (message: unknown) => void
  onMessage: (handler: (message: unknown) => void) => void
}

/** How long a call to the other process may take. */
const timeoutMs = 3000

/** Functions of the other process as local ones. A call rejects after three seconds. */
export const openChannel = <Remote extends object, Local extends object>(
  functions: Local,
  { send, onMessage }: Pipe,
): BirpcReturn<Remote, Local> =>
  createBirpc<Remote, Local>(functions, {
    post: async (message) => {
      try {
        send(message)
      } catch {
        // The other process has just ended: nobody waits for a response, and a call rejects in time.
      }
    },
    on: async (handler) => {
      onMessage(handler)
    },
    timeout: timeoutMs,
  })
