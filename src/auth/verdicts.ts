const keptMax = 16_384

/**
 * What was found out about a token, by its whole text: at most 16 384 of them, the oldest go first.
 * A verdict is good until `untilMs` (since 1970), which is never past the token's `exp`.
 */
export const verdicts = <Verdict>() => {
  const kept = new Map<string, { verdict: Verdict; untilMs: number }>()

  return {
    find: (token: string): Verdict | undefined => {
      const found = kept.get(token)
      return found !== undefined && found.untilMs > Date.now() ? found.verdict : undefined
    },
    keep: (token: string, verdict: Verdict, untilMs: number): Verdict => {
      const [oldest] = kept.size < keptMax ? [] : kept.keys()
      if (oldest !== undefined) kept.delete(oldest)
      kept.set(token, { verdict, untilMs })
      return verdict
    },
  }
}
