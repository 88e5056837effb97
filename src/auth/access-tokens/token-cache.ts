const keptMax = 16_384

/**
 * What was found out about a token, by its whole text: at most 16 384 of them, the oldest go first.
 * A verdict is good until `untilMs` (since 1970), which is never past the token's `exp`.
 */
export const createTokenCache = <Value>() => {
  const kept = new Map<string, { value: Value; untilMs: number }>()

  return {
    find: (token: string): Value | undefined => {
      const found = kept.get(token)
      return found !== undefined && found.untilMs > Date.now() ? found.value : undefined
    },
    keep: (token: string, value: Value, untilMs: number): Value => {
      const [oldest] = kept.size < keptMax ? [] : kept.keys()
      if (oldest !== undefined) kept.delete(oldest)
      kept.set(token, { value, untilMs })
      return value
    },
  }
}
