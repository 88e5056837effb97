import { version } from '../../../package.json' with { type: 'json' }

const description = `Task lists for many users, over HTTP.

**Authentication.** \`POST /api/auth/register\` and \`POST /api/auth/login\` return an access token.
Send it as \`Authorization: Bearer <access_token>\`. On this page, *Authorize* accepts e-mail and
password, or a token. The token alone decides what a request can see and change.

**Conventions.** JSON in UTF-8 with \`snake_case\` members. Times are RFC 3339 in UTC; input may have
any offset, and fraction digits after the third are truncated. Text length is counted in Unicode code
points. Unknown members and parameters are refused.
HEAD works wherever GET works. OPTIONS returns the allowed methods.

**Errors** are problems (RFC 9457, \`application/problem+json\`). Branch on \`code\`. \`GET /problems\`
describes every code. An id that is absent, deleted, malformed or belongs to another user is the same
404. Every response has an \`X-Request-Id\`.

**Safe writes.** A task has a \`version\`, which is its \`ETag\`. With \`If-Match\`, a write that would
overwrite another client's change is refused (412). With an \`Idempotency-Key\`, a request can be
repeated without a second effect. Deleted tasks are moved to the trash.

**Pages** have a \`next_cursor\` (and a \`Link\` header) while there are more. A cursor is opaque, and valid
for the same query of the same user only.

**Limits.** By default 100 requests per hour for each user; before sign-in, for each client address.
\`RateLimit-*\` headers show what remains, and \`Retry-After\` of a 429 says when to try again. A body
has at most 64 KiB, an import 10 MiB.`

/** The parts of the document that describe the service as a whole. */
export const about = {
  openapi: '3.1.0',
  info: { title: 'Taskwarden', version, description, license: { name: 'MIT', identifier: 'MIT' } },
  servers: [{ url: '/' }],
  tags: [
    { name: 'Sign-in', description: 'Sign-up and sign-in' },
    { name: 'Account', description: 'The account of the user' },
    { name: 'Sessions', description: 'Sessions of the user, and how to end them' },
    { name: 'Tokens', description: 'Personal access tokens for scripts' },
    { name: 'Tasks', description: 'The tasks of the user' },
    { name: 'Trash', description: 'Deleted tasks until they are erased' },
    { name: 'Many at once', description: 'Batches, changes feed, export and import' },
    { name: 'Service', description: 'Health, and the catalogue of problems' },
  ],
}

/** In this order, the focus of Swagger UI's dialog is in the field for the e-mail. */
export const securitySchemes = {
  bearer: {
    type: 'http',
    scheme: 'bearer',
    bearerFormat: 'JWT',
    description: 'An access token',
  },
  password: {
    type: 'oauth2',
    description: 'Sign in with e-mail (as `username`) and password',
    flows: { password: { tokenUrl: '/api/oauth/token', scopes: {} } },
  },
}

/** Either scheme is accepted. */
export const protectedBy = [{ password: [] }, { bearer: [] }]
