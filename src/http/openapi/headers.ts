import { exampleId } from './schemas.ts'

const text = { type: 'string' }
const whole = { type: 'integer', minimum: 0 }

/** Every response header that matters to a client. */
export const responseHeaders = {
  'X-Request-Id': {
    description: 'The id of the request: the received one, or a new one',
    schema: { ...text, pattern: '^[A-Za-z0-9._-]{1,128}$' },
    example: exampleId,
  },
  'RateLimit-Limit': { description: 'Requests per window', schema: whole, example: 100 },
  'RateLimit-Remaining': {
    description: 'Requests left in this window',
    schema: whole,
    example: 99,
  },
  'RateLimit-Reset': { description: 'Seconds until the next window', schema: whole, example: 3600 },
  'RateLimit-Policy': {
    description: 'Quota and window, after draft-ietf-httpapi-ratelimit-headers',
    schema: text,
    example: '"api";q=100;w=3600',
  },
  RateLimit: {
    description: 'Remaining quota, after the same draft',
    schema: text,
    example: '"api";r=99;t=3600',
  },
  'Retry-After': { description: 'Seconds to wait', schema: whole, example: 1 },
  'WWW-Authenticate': {
    description: 'The challenge of RFC 6750',
    schema: text,
    example: 'Bearer realm="taskwarden", error="invalid_token"',
  },
  'Set-Cookie': {
    description: 'The refresh token of a browser app, with `?session=cookie`; deleted at sign-out',
    schema: text,
    example:
      '__Host-taskwarden-refresh=twr_AQGZrEe6...; Max-Age=2592000; Path=/; Secure; HttpOnly; SameSite=Strict',
  },
  Location: {
    description: 'Path of the created object',
    schema: { ...text, format: 'uri-reference' },
    example: `/api/tasks/${exampleId}`,
  },
  ETag: {
    description:
      'The version of the task, for `If-Match` and `If-None-Match`; of the changes feed, for the latter',
    schema: text,
    example: '"1"',
  },
  Link: {
    description: 'Path of the next page (`rel="next"`), if there is one',
    schema: text,
    example: '</api/tasks?limit=50&cursor=AbGe0f7uJqTn1dS3yQx8>; rel="next"',
  },
  'Idempotency-Replayed': {
    description: '`true` if this is the stored response to an earlier request with the same key',
    schema: text,
    example: 'true',
  },
  'Content-Disposition': {
    description: 'A name for the file',
    schema: text,
    example: 'attachment; filename="tasks.csv"',
  },
} as const

/** `*`, or a list of entity tags (RFC 9110 §13.1.1). */
const entityTags = '^(\\*|(W/)?"[^"]*"( *, *(W/)?"[^"]*")*)$'

/**
 * Request headers that change what a request does. Their examples are in the schemas: Swagger UI fills its form
 * with the examples of a parameter, which would make every request conditional.
 */
const requestHeaders = {
  'If-Match': {
    description:
      'Only if the task has this version, otherwise 412: an `ETag` with its quotes, a list of them, or `*`',
    schema: { ...text, pattern: entityTags, examples: ['"1"'] },
  },
  'If-None-Match': {
    description: 'Only if the task or the feed has another version than this `ETag`, otherwise 304',
    schema: { ...text, pattern: entityTags, examples: ['"1"'] },
  },
  'Last-Event-ID': {
    description:
      'The `id` of the last event that was received; browsers send it when they connect again',
    schema: { ...text, examples: ['q1w2e3r4t5z6u7i8o9p0'] },
  },
  'Idempotency-Key': {
    description:
      'Makes a repeated request safe: for 24 h the same key gets the first response again, without a second ' +
      'effect. Printable ASCII, quoted or not. Use a new key, such as a UUID, for each new request',
    schema: { ...text, minLength: 1, maxLength: 255, examples: [exampleId] },
  },
} as const

export type ResponseHeader = keyof typeof responseHeaders
export type RequestHeader = keyof typeof requestHeaders

/** Every counted response has these. */
export const commonHeaders: readonly ResponseHeader[] = [
  'X-Request-Id',
  'RateLimit-Limit',
  'RateLimit-Remaining',
  'RateLimit-Reset',
  'RateLimit-Policy',
  'RateLimit',
]

/** The `headers` member of a response, as references to the shared components; `false` if it has no headers. */
export const headerRefs = (names: readonly ResponseHeader[]) =>
  names.length > 0 && {
    headers: Object.fromEntries(
      names.map((name) => [name, { $ref: `#/components/headers/${name}` }]),
    ),
  }

/** The optional header parameters of an operation. */
export const headerParameters = (names: readonly RequestHeader[]) =>
  names.map((name) => ({ in: 'header', name, required: false, ...requestHeaders[name] }))
