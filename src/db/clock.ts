/** The clock of the process, for statements. SQL's `now()` is not used, so that tokens and rows have the same clock. */
export const now = (): string => new Date().toISOString()

/** The timestamp that is `seconds` later. */
export const addSeconds = (timestamp: string, seconds: number): string =>
  new Date(Date.parse(timestamp) + seconds * 1000).toISOString()

/** The same time in milliseconds since 1970. */
export const epochMs = (): number => Date.now()
