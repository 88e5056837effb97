import { parseArgs } from 'node:util'
import { UsageError } from './exit-codes.ts'

/** Reads a command's own arguments: words, which are all required, and flags, which are not. */
export const parseArguments = (
  args: string[],
  words: readonly string[] = [],
  flags: readonly string[] = [],
) => {
  const { values, positionals } = parsed(args, flags)
  const missing = words[positionals.length]
  if (missing !== undefined) throw new UsageError(`${missing} is missing`)
  if (positionals.length > words.length)
    throw new UsageError(`${JSON.stringify(positionals[words.length])} is one word too many`)
  return { words: positionals, has: (flag: string) => values[flag] === true }
}

const parsed = (args: string[], flags: readonly string[]) => {
  const options = Object.fromEntries(flags.map((flag) => [flag, { type: 'boolean' as const }]))
  try {
    return parseArgs({ args, allowPositionals: true, options })
  } catch (error) {
    // Its first sentence; the next is about how `parseArgs` reads dashes.
    throw new UsageError(String(error instanceof Error ? error.message : error).split('. ')[0])
  }
}
