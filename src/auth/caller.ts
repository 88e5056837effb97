import { now } from '../db/now.ts'

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
  /** `X-Request-Id`. */
  requestId: string
}

/** Whom a statement is for, as its parts and its parameters have it, and when: now. */
export const whoOf = ({ userId, sessionId }: Caller) => ({
  user: userId,
  session: sessionId,
  now: now(),
})

/** What a token says of whoever asks. */
export type Identity = Pick<Caller, 'userId' | 'sessionId' | 'scope'>

/** Who did it, in which request: what goes with a security event into the log. */
export const by = ({ userId, requestId }: Caller) => ({ request_id: requestId, user_id: userId })
