/** What instances send each other. */
export type Message = {
  /** The instance. */
  from: string
  /** In milliseconds since 1970. */
  sentAtMs: number
  /** The users that have changed. */
  users: string[]
}

/** An empty message for text of another program, which may use the same channel. */
export const parseMessage = (text: string): Message => {
  try {
    const { from, sentAtMs, users } = JSON.parse(text)
    return { from, sentAtMs: Number(sentAtMs), users: [users].flat().map(String) }
  } catch {
    return { from: '', sentAtMs: 0, users: [] }
  }
}
