import { parseArgs } from 'node:util'
import { UsageError } from './exit-codes.ts'

/** Parses the arguments of a command: all words are required, all flags are optional. */
export const parseArguments = (
  args: string[],
  words: readonly string[] = [],
  flags: readonly string[] = [],
) => {
  const { values, positionals } = parsed(args, flags)
  const missing = words[positionals.length]
  if (missing !== undefined) throw new UsageError(`${missing} is missing`)
  if (positionals.length > words.length)
    throw new UsageError(`${JSON.stringify(positionals[words.length])} is an unexpected argument`)
  return { words: positionals, has: (flag: string) => values[flag] === true }
}

const parsed = (args: string[], flags: readonly string[]) => {
  const options = Object.fromEntries(flags.map((flag) => [flag, { type: 'boolean' as const }]))
  try {
    return parseArgs({ args, allowPositionals: true, options })
  } catch (error) {
    // The first sentence only: the next one explains how `parseArgs` handles dashes.
    throw new UsageError(String(error instanceof Error ? error.message : error).split('. ')[0])
  }
}
