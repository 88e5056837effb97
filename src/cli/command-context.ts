import type { Environment } from '../config/environment.ts'

/** The process that started this one with a channel between both. */
type ParentProcess = {
  send(message: unknown): void
  onMessage(handler: (message: unknown) => void): void
  /** Calls `handler` when the parent has ended. */
  onEnd(handler: () => void): void
}

/** The process as a command sees it. `main.ts` creates the real one, tests pass their own. */
export type CommandContext = {
  env: Environment
  /** Stdout is a terminal. */
  isTerminal: boolean
  /** Prints a line of the result to stdout. */
  print(line: string): void
  /** Prints a line about an error to stderr. */
  printError(line: string): void
  /** Reads stdin to its end. */
  readStdin(): Promise<string>
  /** Calls `handler` for each SIGTERM and SIGINT, which then do not end the process. */
  onSignal(handler: () => void): void
  parent?: ParentProcess
  /** Exits at once. */
  exit(code: number): never
}

/** Runs and returns the exit code. An error that it throws is printed, and the exit code is 1 or that of the error. */
export type Command = (args: string[], context: CommandContext) => Promise<number>
