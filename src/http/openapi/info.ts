import { version } from '../../../package.json' with { type: 'json' }

const description = `A task list for each user, over HTTP.

**Signing in.** \`POST /api/auth/register\` or \`POST /api/auth/login\` answer an access token;
send it as \`Authorization: Bearer <access_token>\`. Here, *Authorize* takes an e-mail and a
password, or a token. What a request may see or change is decided by its token alone.

**Conventions.** JSON in UTF-8, \`snake_case\`, times in RFC 3339 and UTC, taken with any offset and
at most three fraction digits. Text is counted in Unicode code points. Input is closed: an unknown
member or parameter is refused, never dropped.
HEAD works wherever GET does, and OPTIONS answers what an address takes.

**Refusals** are problems (RFC 9457, \`application/problem+json\`). Branch on \`code\`; \`GET
/problems\` lists every code with its cause and its cure. What is absent, deleted, somebody else's
or no id at all is the same 404. Every answer has an \`X-Request-Id\`.

**Safe writes.** A task has a \`version\`, which is its \`ETag\`: send it as \`If-Match\`, and a write
that would undo somebody else's is refused (412). With an \`Idempotency-Key\` a request can be
repeated without a second effect. A deleted task is in the trash first.

**Pages** have a \`next_cursor\` (and a \`Link\`) while there is more. A cursor is opaque, and good for
the same query of the same user only.

**Limits.** By default 100 requests an hour for each user, before sign-in for each address;
\`RateLimit-*\` says what is left, a 429 when to come back (\`Retry-After\`). A body has at most
64 KiB, an import 10 MiB.`

/** What the document says of the service as a whole. */
export const about = {
  openapi: '3.1.0',
  info: { title: 'Taskwarden', version, description },
  servers: [{ url: '/' }],
  tags: [
    { name: 'Sign-in', description: 'Strangers become users' },
    { name: 'Account', description: 'My own account' },
    { name: 'Sessions', description: 'Where I am signed in, and how that ends' },
    { name: 'Tokens', description: 'Personal access tokens, for scripts' },
    { name: 'Tasks', description: 'My tasks, and nobody else’s' },
    { name: 'Trash', description: 'Deleted tasks, until they are erased' },
    { name: 'Many at once', description: 'Batches, a copy kept in step, export and import' },
    { name: 'Service', description: 'The service itself: health, and what its refusals mean' },
  ],
}

/** In this order, the dialog of Swagger UI opens with the cursor in the e-mail's field. */
export const securitySchemes = {
  bearer: {
    type: 'http',
    scheme: 'bearer',
    bearerFormat: 'JWT',
    description: 'An access token that you have',
  },
  password: {
    type: 'oauth2',
    description: 'Sign in with e-mail (as `username`) and password',
    flows: { password: { tokenUrl: '/api/oauth/token', scopes: {} } },
  },
}

/** Either one will do. */
export const protectedBy = [{ password: [] }, { bearer: [] }]
