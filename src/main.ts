import type { CommandContext } from './cli/command-context.ts'
import { run } from './cli/run.ts'

/** How long a line may wait for others, to be written with them in one piece. */
const lineMsMax = 20
let lines = ''
const write = () => {
  if (lines !== '') process.stdout.write(lines)
  lines = ''
}

/** The edge of the process: arguments, environment, streams, signals. */
const context: CommandContext = {
  env: process.env,
  isTerminal: process.stdout.isTTY,
  print: (line) => {
    if (lines === '') setTimeout(write, lineMsMax)
    lines += `${line}\n`
  },
  printError: (line) => console.error(line),
  readStdin: () => Bun.stdin.text(),
  onSignal: (handler) => void process.on('SIGTERM', handler).on('SIGINT', handler),
  exit: (code) => process.exit(code),
}

/** Longest wait for somebody who does not read what was said. */
const flushMsMax = 2000

process.on('exit', write)
// Whoever read the log has gone: that is no reason to go too.
process.stdout.on('error', () => {})
const code = await run(process.argv.slice(2), context)
write()
const flushed = new Promise<void>((resolve) => process.stdout.end(() => resolve()))
await Promise.race([flushed, Bun.sleep(flushMsMax)])
process.exit(code)
