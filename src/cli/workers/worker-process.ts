import type { MetricsSnapshot } from '../../metrics/fleet.ts'
import { openChannel, type SupervisorFunctions, type WorkerFunctions } from './channel.ts'

type Needs = {
  functions: SupervisorFunctions
  env: Record<string, string | undefined>
  /** Receives each line of the worker's stdout. */
  write: (line: string) => void
}

/** How a worker ended. */
export type Ending = { code?: number; signal?: string; reason?: string }

export type WorkerProcess = ReturnType<typeof startWorker>

/** How often a worker is asked whether its event loop runs, and after how many questions it is ended. */
const pingMs = 5000
const unansweredMax = 6
/** How long a worker may take to read its metrics, the readiness check included. */
const metricsMsMax = 2000

/** Starts `taskwarden worker` with the environment of this process. */
export const startWorker = ({ functions, env, write }: Needs) => {
  const startedAtMs = performance.now()
  let receive = (_message: unknown): void => {}
  const child = Bun.spawn([...ownCommand(), 'worker'], {
    env,
    stdin: 'ignore',
    stdout: 'pipe',
    stderr: 'inherit',
    serialization: 'json',
    ipc: (message) => receive(message),
  })
  const channel = openChannel<WorkerFunctions, SupervisorFunctions>(functions, {
    send: (message) => void child.send(message),
    onMessage: (handler) => {
      receive = handler
    },
  })

  let unanswered = 0
  let isFrozen = false
  const pinging = setInterval(() => {
    if (unanswered >= unansweredMax) {
      isFrozen = true
      child.kill('SIGKILL')
    }
    unanswered++
    channel.ping().then(
      () => {
        unanswered = 0
      },
      () => {},
    )
  }, pingMs)

  const ended = (async (): Promise<Ending> => {
    const [code] = await Promise.all([child.exited, forwardLines(child.stdout, write)])
    clearInterval(pinging)
    channel.$close()
    return {
      ...(child.signalCode === null ? { code } : { signal: String(child.signalCode) }),
      ...(isFrozen ? { reason: 'it did not respond for 30 seconds' } : {}),
    }
  })()

  return {
    ended,
    ranMs: () => performance.now() - startedAtMs,
    kill: (signal: NodeJS.Signals) => child.kill(signal),
    /** Undefined if the worker does not respond in time: earlier than the call of the worker that asks for all. */
    metrics: (): Promise<MetricsSnapshot | undefined> =>
      Promise.race([
        channel.metrics().catch(() => undefined),
        Bun.sleep(metricsMsMax).then(() => undefined),
      ]),
  }
}

/** The program that this process runs: the binary, or Bun and the file of the sources. */
const ownCommand = () =>
  Bun.isStandaloneExecutable ? [process.execPath] : [process.execPath, Bun.main]

/** Whole lines only, so that the lines of several workers do not mix. */
const forwardLines = async (stdout: ReadableStream<Uint8Array>, write: (line: string) => void) => {
  let rest = ''
  const decoder = new TextDecoder()
  for await (const chunk of stdout) {
    const lines = (rest + decoder.decode(chunk, { stream: true })).split('\n')
    rest = lines.pop() ?? ''
    lines.forEach(write)
  }
  if (rest !== '') write(rest)
}
