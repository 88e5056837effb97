/**
 * Who asks, as the verified token says and nothing else. Only a statement can tell
 * whether the session still lives.
 */
export type Caller = {
  userId: string
  sessionId: string
  /** The key of the client's address. */
  address: string
}
