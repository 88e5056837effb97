/**
 * Every refusal this service can give. The key is public: clients branch on it,
 * and `/problems/{code}` shows its cause and its cure.
 */
export const problemCatalogue = {
  'malformed-request': {
    status: 400,
    title: 'The request could not be read',
    cause: 'The body is not JSON that parses, or a cursor or header is not of its form.',
    cure: 'Send JSON in UTF-8, and cursors and an `ETag` (with its quotes) just as they were given.',
  },
  unauthenticated: {
    status: 401,
    title: 'A valid access token is required',
    cause:
      'There was no bearer token, or it is malformed, expired, or of a session that has ended.',
    cure: 'Sign in at POST /api/auth/login and send `Authorization: Bearer <access_token>`.',
  },
  'invalid-credentials': {
    status: 401,
    title: 'The e-mail or the password is wrong',
    cause: 'No account has this e-mail and this password.',
    cure: 'Check both. Failed attempts are counted; see `too-many-attempts`.',
  },
  'insufficient-scope': {
    status: 403,
    title: 'The token may not do this',
    cause:
      'It is a personal access token, or one of another identity provider: its scope does not go so ' +
      'far, or this is about the account.',
    cure: 'Use a token with the scope `tasks:write`, or sign in.',
  },
  'registration-closed': {
    status: 403,
    title: 'Sign-up is closed here',
    cause: 'The operator of this service has set REGISTRATION=closed.',
    cure: 'Ask the operator for an account.',
  },
  'wrong-password': {
    status: 403,
    title: 'The current password does not match',
    cause: '`current_password` is not the password of the account.',
    cure: 'Ask for the password again. Failed attempts count like failed sign-ins.',
  },
  'not-found': {
    status: 404,
    title: 'There is nothing at this address',
    cause: 'No route has this path. Paths have no trailing slash.',
    cure: 'See /docs for the routes there are.',
  },
  'task-not-found': {
    status: 404,
    title: 'You have no such task',
    cause: 'No task of yours has this id, or it was deleted.',
    cure: 'List your tasks to see the ids there are.',
  },
  'session-not-found': {
    status: 404,
    title: 'You have no such session',
    cause: 'No live session of yours has this id.',
    cure: 'List your sessions to see the ids there are.',
  },
  'token-not-found': {
    status: 404,
    title: 'You have no such token',
    cause: 'No live personal access token of yours has this id.',
    cure: 'List your tokens to see the ids there are.',
  },
  'method-not-allowed': {
    status: 405,
    title: 'This address does not take this method',
    cause: 'The path exists, the method on it does not.',
    cure: 'Use a method of the `Allow` header of the answer.',
  },
  'email-taken': {
    status: 409,
    title: 'An account with this e-mail exists',
    cause: 'E-mails are unique, letter case and surrounding space aside.',
    cure: 'Sign in instead, or use another e-mail.',
  },
  'idempotency-in-flight': {
    status: 409,
    title: 'A request with this Idempotency-Key is under way',
    cause: 'Two requests with one key came at the same time, and the other one is not done yet.',
    cure: 'Repeat the request: it will get the answer of the first.',
  },
  'sync-expired': {
    status: 410,
    title: 'The changes token is too old',
    cause: 'Since it was given, erased tasks may have been forgotten (TRASH_DAYS, 30 by default).',
    cure: 'Start anew without `since`, and replace your copy.',
  },
  'version-mismatch': {
    status: 412,
    title: 'The task has changed since you read it',
    cause: 'The version in `If-Match`, or in a batch, is not the current one.',
    cure: 'Read the task again (its current `ETag` is in this answer), and decide anew.',
  },
  'body-too-large': {
    status: 413,
    title: 'The body is too large',
    cause:
      'The body has more bytes than this service takes (BODY_LIMIT, 64 KiB by default), or an import has more bytes or records (IMPORT_LIMIT, IMPORT_ROWS).',
    cure: 'Send less at once.',
  },
  'unsupported-media-type': {
    status: 415,
    title: 'The body is not of a media type this address takes',
    cause: 'The Content-Type is missing or another one, or the body is compressed.',
    cure:
      'Send `Content-Type: application/json`, or another one that /docs names for this address, without ' +
      'Content-Encoding.',
  },
  'invalid-request': {
    status: 422,
    title: 'The request does not match the schema',
    cause: 'The request was read, but a value is wrong or a member or parameter is not known.',
    cure: 'Mend what `errors` points at.',
  },
  'weak-password': {
    status: 422,
    title: 'The password is too easy to guess',
    cause: 'It is too short, a commonly used one, or the e-mail itself.',
    cure: 'Choose a longer one that nobody else would choose.',
  },
  'idempotency-mismatch': {
    status: 422,
    title: 'The Idempotency-Key was used for another request',
    cause: 'The same key came with another body, query or `If-Match` within 24 hours.',
    cure: 'Make a new key for each new request.',
  },
  'rate-limited': {
    status: 429,
    title: 'Too many requests',
    cause: 'The hourly budget of the user, or before sign-in of the address, is spent.',
    cure: 'Wait for the seconds of `Retry-After`.',
  },
  'too-many-attempts': {
    status: 429,
    title: 'Too many attempts to sign in',
    cause: 'The account or the address has spent its budget of attempts.',
    cure: 'Wait for the seconds of `Retry-After`, or sign in from another address.',
  },
  internal: {
    status: 500,
    title: 'Something went wrong on our side',
    cause: 'A bug. It was logged under the `request_id` of the answer.',
    cure: 'Tell the operator the `request_id`.',
  },
  unavailable: {
    status: 503,
    title: 'The service cannot answer right now',
    cause:
      'The database, the limiter, the password queue or the keys of a trusted issuer could not ' +
      'answer in time.',
    cure: 'Repeat the request after the seconds of `Retry-After`.',
  },
} as const
