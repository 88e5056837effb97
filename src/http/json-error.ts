import { visit } from 'jsonc-parser'
import { exceedsDepth } from './json-depth.ts'

/** Characters. Finding the position takes about 33 ms per million, without a turn for other requests. */
const lengthMax = 1_000_000

/** Where a text stops being JSON (both numbers start at 1); undefined for a text that is too long or too deep. */
export const findJsonError = (text: string): { line: number; column: number } | undefined => {
  // The parser is recursive. Up to the first error, the text is JSON, for which `exceedsDepth` is exact.
  if (text.length > lengthMax || exceedsDepth(text)) return undefined
  try {
    visit(text, { onError: stopAt }, { disallowComments: true })
  } catch (error) {
    if (!(error instanceof FirstError)) throw error
    const before = text.slice(0, error.offset).split('\n')
    return { line: before.length, column: (before.at(-1)?.length ?? 0) + 1 }
  }
  return undefined
}

class FirstError extends Error {
  readonly offset: number
  constructor(offset: number) {
    super('not JSON')
    this.offset = offset
  }
}

const stopAt = (_: unknown, offset: number): never => {
  throw new FirstError(offset)
}
