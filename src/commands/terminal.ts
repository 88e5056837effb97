import type { Env } from '../environment.ts'

/** What a command sees of its process. `main.ts` has the real one, so that a test can hand in its own. */
export type Terminal = {
  env: Env
  /** Whether a person reads along. */
  isWatched: boolean
  /** A line to stdout: what was asked for. */
  say(line: string): void
  /** A line to stderr: what went wrong. */
  complain(line: string): void
  /** The whole of stdin. */
  input(): Promise<string>
  /** Calls back at each SIGTERM and SIGINT, which then end nothing by themselves. */
  onSignal(handler: () => void): void
  /** Leaves at once, whatever is under way. */
  quit(code: number): never
}

/** Does its work and gives the exit code. What it throws is explained, and is a failure. */
export type Command = (args: string[], terminal: Terminal) => Promise<number>
