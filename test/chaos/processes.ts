import { chmodSync, closeSync, mkdtempSync, openSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

const running = new Map<Bun.Subprocess, NodeJS.Signals>()
let folder: string | undefined
let over = false

/** The folder for all files of this run. */
export const scratch = (): string => {
  if (folder === undefined) {
    folder = mkdtempSync(join(tmpdir(), 'taskwarden-chaos-'))
    // As root, PostgreSQL and PgBouncer run as another user.
    chmodSync(folder, 0o755)
  }
  return folder
}

type Options = {
  env?: Record<string, string>
  /** The file for its output. */
  log: string
  /** The signal that ends it with all its children. */
  endedBy?: NodeJS.Signals
}

/** Starts a program that `stopAll` ends. */
export const spawn = (command: string[], { env = {}, log, endedBy = 'SIGKILL' }: Options) => {
  if (over) throw new Error('everything is being stopped')
  const output = openSync(log, 'a')
  const child = Bun.spawn(command, {
    cwd: scratch(),
    env: { PATH: process.env.PATH ?? '', LC_ALL: 'C.UTF-8', ...env },
    stdin: 'ignore',
    stdout: output,
    stderr: output,
  })
  closeSync(output)
  running.set(child, endedBy)
  void child.exited.then(() => running.delete(child))
  return child
}

/** Servers that refuse to run as root run as `postgres`, in the process that is started. */
export const unprivileged = (command: string[]): string[] =>
  process.getuid?.() === 0
    ? ['setpriv', '--reuid=postgres', '--regid=postgres', '--init-groups', ...command]
    : command

/** The processes that this file has started, by pid. */
export const stopAll = async () => {
  over = true
  for (const [child, signal] of running) child.kill(signal)
  await Promise.all([...running.keys()].map(({ exited }) => exited))
  if (folder !== undefined) rmSync(folder, { recursive: true, force: true })
}

export const freePort = (): number => {
  const server = Bun.listen({ hostname: '127.0.0.1', port: 0, socket: { data: () => {} } })
  const { port } = server
  server.stop(true)
  return port
}

/** Polls until the condition is true; throws after the time limit. */
export const until = async (
  what: string,
  so: () => Promise<boolean> | boolean,
  { withinMs = 30_000, everyMs = 10 } = {},
) => {
  const from = performance.now()
  for (;;) {
    if (await so()) return performance.now() - from
    if (performance.now() - from > withinMs) throw new Error(`not within ${withinMs} ms: ${what}`)
    await Bun.sleep(everyMs)
  }
}

/** Returns the exit code. */
export const stop = async (child: Bun.Subprocess, signal: NodeJS.Signals): Promise<number> => {
  child.kill(signal)
  const code = await Promise.race([child.exited, Bun.sleep(30_000)])
  if (typeof code !== 'number') throw new Error(`process ${child.pid} did not stop on ${signal}`)
  return code
}
