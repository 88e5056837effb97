const entriesMax = 16_384

/**
 * Caches the result of verifying a token, by the text of the token. At most 16 384 entries; the oldest are evicted.
 * An entry is valid until `untilMs` (since 1970), which the caller sets to at most the `exp` of the token.
 */
export const createTokenCache = <Value>() => {
  const entries = new Map<string, { value: Value; untilMs: number }>()

  return {
    find: (token: string): Value | undefined => {
      const entry = entries.get(token)
      return entry !== undefined && entry.untilMs > Date.now() ? entry.value : undefined
    },
    keep: (token: string, value: Value, untilMs: number): Value => {
      const [oldest] = entries.size < entriesMax ? [] : entries.keys()
      if (oldest !== undefined) entries.delete(oldest)
      entries.set(token, { value, untilMs })
      return value
    },
  }
}
