import { now } from '../db/clock.ts'

/**
 * Who asks, as the verified token says and nothing else. Only a statement can tell
 * whether the session still lives.
 */
export type Principal = {
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
export const scopeParameters = ({ userId, sessionId }: Principal) => ({
  user: userId,
  session: sessionId,
  now: now(),
})

/** What a token says of whoever asks. */
export type VerifiedToken = Pick<Principal, 'userId' | 'sessionId' | 'scope'>

/** Who did it, in which request: what goes with a security event into the log. */
export const auditFields = ({ userId, requestId }: Principal) => ({
  request_id: requestId,
  user_id: userId,
})
