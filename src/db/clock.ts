/** This process's clock, as statements take it: never SQL's `now()`, so that one clock rules tokens and rows alike. */
export const now = (): string => new Date().toISOString()

/** So many seconds after an instant. */
export const addSeconds = (instant: string, seconds: number): string =>
  new Date(Date.parse(instant) + seconds * 1000).toISOString()
