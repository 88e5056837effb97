/**
 * Who asks, as the verified token says and nothing else. Only a statement can tell
 * whether the session still lives.
 */
export type Caller = {
  userId: string
  sessionId: string
  /** What a personal access token may do; nothing: a sign-in's token may do everything. */
  scope: string | undefined
  /** The key of the client's address. */
  address: string
}
