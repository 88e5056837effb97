import type { Principal } from '../db/user-scope.ts'

/** What a verified access token says. */
export type VerifiedToken = Principal & {
  /** Space-separated scopes of a personal or federated token; undefined for a sign-in token, which has all. */
  scope: string | undefined
  /** When the token expires, in milliseconds since 1970. */
  expiresAtMs: number
  /** The stream ticket that stands for the token. Its route uses it up. */
  ticket?: { id: string; expiresAt: string }
  /** The hash of the secret of a calendar feed that stands for the token. Its route compares it. */
  calendarHash?: string
}

/** The authenticated principal of one request. */
export type RequestPrincipal = VerifiedToken & {
  /** The rate-limit key of the client's address. */
  address: string
  /** `X-Request-Id`. */
  requestId: string
}

/** The fields of a security event in the log: which user, in which request. */
export const auditFields = ({ userId, requestId }: RequestPrincipal) => ({
  request_id: requestId,
  user_id: userId,
})
