import type { Environment } from '../config/environment.ts'

/** What a command sees of its process. `main.ts` has the real one, so that a test can hand in its own. */
export type CommandContext = {
  env: Environment
  /** Whether a person reads along. */
  isTerminal: boolean
  /** A line to stdout: what was asked for. */
  print(line: string): void
  /** A line to stderr: what went wrong. */
  printError(line: string): void
  /** The whole of stdin. */
  readStdin(): Promise<string>
  /** Calls back at each SIGTERM and SIGINT, which then end nothing by themselves. */
  onSignal(handler: () => void): void
  /** Leaves at once, whatever is under way. */
  exit(code: number): never
}

/** Does its work and gives the exit code. What it throws is explained, and is a failure. */
export type Command = (args: string[], context: CommandContext) => Promise<number>
