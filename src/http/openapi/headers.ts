import { exampleId } from './schemas.ts'

const text = { type: 'string' }
const whole = { type: 'integer', minimum: 0 }

/** Every header that an answer may have and a client may want to know of. */
export const responseHeaders = {
  'X-Request-Id': {
    description: 'The id of the request: the one that was sent, or a new one',
    schema: { ...text, pattern: '^[A-Za-z0-9._-]{1,128}$' },
    example: exampleId,
  },
  'RateLimit-Limit': { description: 'Requests in a window', schema: whole, example: 100 },
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
    description: 'What is left, after the same draft',
    schema: text,
    example: '"api";r=99;t=3600',
  },
  'Retry-After': { description: 'Seconds to wait', schema: whole, example: 1 },
  'WWW-Authenticate': {
    description: 'The challenge of RFC 6750',
    schema: text,
    example: 'Bearer realm="taskwarden", error="invalid_token"',
  },
  Location: {
    description: 'Path of what was made',
    schema: { ...text, format: 'uri-reference' },
    example: `/api/tasks/${exampleId}`,
  },
  ETag: {
    description: 'The version, to be sent as `If-Match` or `If-None-Match`',
    schema: text,
    example: '"1"',
  },
  Link: {
    description: 'Path of the next page (`rel="next"`), while there is one',
    schema: text,
    example: '</api/tasks?limit=50&cursor=AbGe0f7uJqTn1dS3yQx8>; rel="next"',
  },
  'Idempotency-Replayed': {
    description: '`true` where this is the kept answer to an earlier request with the same key',
    schema: text,
    example: 'true',
  },
  'Content-Disposition': {
    description: 'A name for the file',
    schema: text,
    example: 'attachment; filename="tasks.csv"',
  },
} as const

/**
 * Headers of a request that change what it does. Their examples are in the schemas: Swagger UI
 * fills its form with those of a parameter, and each request would be a conditional one.
 */
const requestHeaders = {
  'If-Match': {
    description:
      'Only if the task is still of this version, else 412: an `ETag` as it was given, a list of them, or `*`',
    schema: { ...text, examples: ['"1"'] },
  },
  'If-None-Match': {
    description: 'Only if the task is no longer of this version, else 304: its `ETag`',
    schema: { ...text, examples: ['"1"'] },
  },
  'Idempotency-Key': {
    description:
      'Makes repeating safe: for 24 h the same key gets the first answer again, and nothing is done ' +
      'twice. Printable ASCII, quoted or not; a new one for each new request, such as a UUID',
    schema: { ...text, minLength: 1, maxLength: 255, examples: [exampleId] },
  },
} as const

export type ResponseHeader = keyof typeof responseHeaders
export type RequestHeader = keyof typeof requestHeaders

export const countedHeaders: readonly ResponseHeader[] = [
  'RateLimit-Limit',
  'RateLimit-Remaining',
  'RateLimit-Reset',
  'RateLimit-Policy',
  'RateLimit',
]

/** The `headers` of a response, by reference. */
export const headerRefs = (names: readonly ResponseHeader[]) =>
  Object.fromEntries(names.map((name) => [name, { $ref: `#/components/headers/${name}` }]))

/** The optional header parameters of an operation. */
export const headerParameters = (names: readonly RequestHeader[]) =>
  names.map((name) => ({ in: 'header', name, required: false, ...requestHeaders[name] }))
