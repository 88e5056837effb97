import { objectConflicts, objectNotFound } from './object-problems.ts'

/**
 * Every problem that the service returns. The key is public: clients branch on it. `/problems/{code}` shows the
 * cause and what to do (`cure`).
 */
export const problemCatalogue = {
  'malformed-request': {
    status: 400,
    title: 'The request cannot be parsed',
    cause: 'The body is not valid JSON, or a header, parameter or cursor has an invalid form.',
    cure: 'Send JSON in UTF-8. Send cursors and an `ETag` (with its quotes) exactly as received.',
  },
  unauthenticated: {
    status: 401,
    title: 'A valid access token is required',
    cause:
      'The request has no bearer token, or the token is malformed, expired, or of an ended session. The same is true ' +
      'of a refresh token.',
    cure:
      'Refresh the session at POST /api/auth/refresh with `refresh_token`, or sign in at POST /api/auth/login. Send ' +
      '`Authorization: Bearer <access_token>`.',
  },
  'invalid-credentials': {
    status: 401,
    title: 'The e-mail or the password is wrong',
    cause: 'No account has this e-mail and password.',
    cure: 'Check both. Failed attempts are limited; see `too-many-attempts`.',
  },
  'insufficient-scope': {
    status: 403,
    title: 'The token does not permit this',
    cause: 'The scope of the token does not include this request, or the route is for the account.',
    cure: 'Use a token with the scope, or sign in.',
  },
  'origin-not-allowed': {
    status: 403,
    title: 'The refresh cookie cannot be used from this origin',
    cause:
      'The request has the refresh cookie, and is not from a page of the service or of an origin in CORS_ORIGINS: ' +
      'neither `Origin` nor `Sec-Fetch-Site` says so.',
    cure: 'Add the origin of the app to CORS_ORIGINS. A script that is not in a browser sends the token in the body.',
  },
  'email-unverified': {
    status: 403,
    title: 'The e-mail is not verified',
    cause: 'The password is right, and the link that was mailed at sign-up was not used yet.',
    cure: 'Use the link of the newest message. It was sent again, within the limit for the address.',
  },
  'registration-closed': {
    status: 403,
    title: 'Sign-up is closed',
    cause: 'The operator of this service has set REGISTRATION=closed.',
    cure: 'Ask the operator for an account.',
  },
  'wrong-password': {
    status: 403,
    title: 'The current password is wrong',
    cause: '`current_password` is not the password of the account.',
    cure: 'Ask the user for the password again. A wrong password counts as a failed sign-in.',
  },
  'not-found': {
    status: 404,
    title: 'There is no such route',
    cause: 'No route has this path. Paths have no trailing slash.',
    cure: 'See /docs for all routes.',
  },
  ...objectNotFound,
  'method-not-allowed': {
    status: 405,
    title: 'The route does not have this method',
    cause: 'The path exists, but not with this method.',
    cure: 'Use a method of the `Allow` header of the response.',
  },
  'email-taken': {
    status: 409,
    title: 'An account with this e-mail exists',
    cause: 'E-mails are unique, ignoring case and surrounding spaces.',
    cure: 'Sign in instead, or use another e-mail.',
  },
  ...objectConflicts,
  'idempotency-in-flight': {
    status: 409,
    title: 'A request with this Idempotency-Key is in progress',
    cause: 'Another request with the same key has not finished.',
    cure: 'Repeat the request to get the response of the first.',
  },
  'sync-expired': {
    status: 410,
    title: 'The changes token is too old',
    cause: 'The token is older than the tombstones of erased tasks (TRASH_DAYS, 30 by default).',
    cure: 'Start again without `since`, and replace the copy.',
  },
  'version-mismatch': {
    status: 412,
    title: 'The task or list has changed',
    cause: 'The version in `If-Match` or in the batch is not the current version.',
    cure: 'Read it again (the response has its current `ETag`), and apply the change to it.',
  },
  'body-too-large': {
    status: 413,
    title: 'The body is too large',
    cause: 'The body exceeds BODY_LIMIT (64 KiB), or an import IMPORT_LIMIT or IMPORT_ROWS.',
    cure: 'Send less in one request.',
  },
  'unsupported-media-type': {
    status: 415,
    title: 'The route does not accept this media type',
    cause: 'The Content-Type is missing or not accepted, or the body is compressed.',
    cure:
      'Send `Content-Type: application/json`, or another type that /docs lists for the route, without ' +
      'Content-Encoding.',
  },
  'invalid-request': {
    status: 422,
    title: 'The request does not match the schema',
    cause: 'The request was parsed, but a value is invalid, or a member or parameter is unknown.',
    cure: 'Correct what `errors` lists.',
  },
  'weak-password': {
    status: 422,
    title: 'The password is too easy to guess',
    cause: 'The password is too short, easy to guess, or the e-mail itself.',
    cure: 'Choose a longer, unusual password.',
  },
  'link-expired': {
    status: 422,
    title: 'The link is not valid',
    cause: 'The token is wrong, used, expired, or replaced by a newer link or a new password.',
    cure: 'Request a new link.',
  },
  'idempotency-mismatch': {
    status: 422,
    title: 'The Idempotency-Key was used for a different request',
    cause: 'The same key was sent with another body, query or `If-Match` within 24 hours.',
    cure: 'Generate a new key for each new request.',
  },
  'rate-limited': {
    status: 429,
    title: 'Too many requests',
    cause: 'The limit of the user, or of the client address before sign-in, is used up.',
    cure: 'Wait for `Retry-After` seconds.',
  },
  'too-many-streams': {
    status: 429,
    title: 'Too many event streams are open',
    cause: 'The user has 10 open streams on this instance.',
    cure: 'Close one, for example by sharing a stream between tabs.',
  },
  'too-many-attempts': {
    status: 429,
    title: 'Too many sign-in attempts',
    cause: 'The limit of attempts for the account or the client address is used up.',
    cure: 'Wait for `Retry-After` seconds, or sign in from another address.',
  },
  internal: {
    status: 500,
    title: 'Internal error',
    cause: 'A bug. The log has an entry with the `request_id` of this response.',
    cure: 'Report the `request_id` to the operator.',
  },
  'mail-disabled': {
    status: 503,
    title: 'The service sends no mail',
    cause: 'MAIL_URL is not set, and the request needs a message to the user.',
    cure: 'Ask the operator. Repeating the request does not help.',
  },
  unavailable: {
    status: 503,
    title: 'The service is temporarily unavailable',
    cause: 'Database, rate-limit store, password queue or issuer did not respond in time.',
    cure: 'Repeat the request after `Retry-After` seconds.',
  },
} as const
