import { type ParseArgsOptionsConfig, parseArgs } from 'node:util'
import { UsageError } from './exits.ts'

/** Reads a command's own arguments: words that are all required, by their names here, and options. */
export const readArguments = <const Options extends ParseArgsOptionsConfig>(
  args: string[],
  words: readonly string[] = [],
  options?: Options,
) => {
  const { values, positionals } = parsed(args, options)
  const missing = words[positionals.length]
  if (missing !== undefined) throw new UsageError(`${missing} is missing`)
  if (positionals.length > words.length)
    throw new UsageError(`${JSON.stringify(positionals[words.length])} is one word too many`)
  return { values, words: positionals }
}

const parsed = <Options extends ParseArgsOptionsConfig>(args: string[], options?: Options) => {
  try {
    return parseArgs({ args, allowPositionals: true, ...(options && { options }) })
  } catch (error) {
    // Its first sentence; the next is about how `parseArgs` reads dashes.
    throw new UsageError(String(error instanceof Error ? error.message : error).split('. ')[0])
  }
}
