import { parseArgs } from 'node:util'
import { UsageError } from './exit-codes.ts'

/** Parses the arguments of a command: all words are required, flags and options are optional. Options have a value. */
export const parseArguments = (
  args: string[],
  words: readonly string[] = [],
  flags: readonly string[] = [],
  options: readonly string[] = [],
) => {
  const { values: found, positionals } = parsed(args, flags, options)
  const values: Record<string, unknown> = found
  const missing = words[positionals.length]
  if (missing !== undefined) throw new UsageError(`${missing} is missing`)
  if (positionals.length > words.length)
    throw new UsageError(`${JSON.stringify(positionals[words.length])} is an unexpected argument`)
  return {
    words: positionals,
    has: (flag: string) => values[flag] === true,
    textOf: (option: string) => {
      const value = values[option]
      return typeof value === 'string' ? value : undefined
    },
  }
}

const parsed = (args: string[], flags: readonly string[], named: readonly string[]) => {
  const options = Object.fromEntries([
    ...flags.map((flag) => [flag, { type: 'boolean' as const }] as const),
    ...named.map((option) => [option, { type: 'string' as const }] as const),
  ])
  try {
    return parseArgs({ args, allowPositionals: true, options })
  } catch (error) {
    // The first sentence only: the next one explains how `parseArgs` handles dashes.
    throw new UsageError(String(error instanceof Error ? error.message : error).split('. ')[0])
  }
}
