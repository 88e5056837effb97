import type { CommandContext } from './cli/command-context.ts'
import { run } from './cli/run.ts'

/** How long a line may wait, so that several lines are written at once. */
const lineMsMax = 20
let lines = ''
const write = () => {
  if (lines !== '') process.stdout.write(lines)
  lines = ''
}

/** The process: environment, streams and signals. */
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
  ...(process.send && {
    parent: {
      send: (message) => void process.send?.(message),
      onMessage: (handler) => void process.on('message', handler),
      onEnd: (handler) => void process.on('disconnect', handler),
    },
  }),
  exit: (code) => process.exit(code),
}

/** How long to wait at exit for a reader of stdout that does not read. */
const flushMsMax = 2000

process.on('exit', write)
// The reader of stdout is gone; the service continues.
process.stdout.on('error', () => {})
const code = await run(process.argv.slice(2), context)
write()
const flushed = new Promise<void>((resolve) => process.stdout.end(() => resolve()))
await Promise.race([flushed, Bun.sleep(flushMsMax)])
process.exit(code)
