import { version } from '../../../package.json' with { type: 'json' }
import type { ProblemCode } from '../problem.ts'
import { problemCatalogue } from '../problem-catalogue.ts'
import { commonCodes } from './problem-responses.ts'

/** The configured limits, which the document shows. */
export type Limits = {
  rateLimit: { limit: number; windowSeconds: number }
  bodyLimit: number
  importing: { bytesMax: number; rowsMax: number }
  passwords: { lengthMin: number }
  jwt: { ttlSeconds: number; sessionMaxDays: number }
  trashDays: number
}

const describe = (limits: Limits) => `Task lists for many users, over HTTP.

**Authentication.** \`POST /api/auth/register\` and \`POST /api/auth/login\` return an access token.
Send it as \`Authorization: Bearer <access_token>\`. On this page, *Authorize* accepts e-mail and
password, or a token. The token alone decides what a request can see and change.

**Conventions.** JSON in UTF-8 with \`snake_case\` members. Times are RFC 3339 in UTC; input may have
any offset, and fraction digits after the third are truncated. Text length is counted in Unicode code
points. Unknown members and parameters are refused. HEAD works wherever GET works. OPTIONS returns the
allowed methods.

**Safe writes.** A task has a \`version\`, which is its \`ETag\`. With \`If-Match\`, a write that would
overwrite another client's change is refused (412). With an \`Idempotency-Key\`, a request can be
repeated without a second effect. Deleted tasks are moved to the trash.

**Pages** have a \`next_cursor\` (and a \`Link\` header) while there are more. A cursor is opaque, and valid
for the same query of the same user only.

**Headers of every response.** \`X-Request-Id\` identifies the request in the log. \`RateLimit-Limit\`,
\`RateLimit-Remaining\`, \`RateLimit-Reset\`, \`RateLimit-Policy\` and \`RateLimit\` show the limit.

**Problems.** Errors are RFC 9457 (\`application/problem+json\`). Branch on \`code\`; \`GET /problems\`
describes every code. An id that is absent, deleted, malformed or belongs to another user is the same
404. Each operation lists its own problems. These are common to all:

${table(['status', 'code', 'meaning'], commonCodes.map(problemRow))}

**Limits of this service**

${table(['limit', 'value'], limitRows(limits))}
`

const table = (head: string[], rows: (string | number)[][]): string =>
  [head, head.map(() => '---'), ...rows].map((cells) => `| ${cells.join(' | ')} |`).join('\n')

const problemRow = (code: ProblemCode) => {
  const { status, title } = problemCatalogue[code]
  return [status, `\`${code}\``, title]
}

const limitRows = ({ rateLimit, bodyLimit, importing, passwords, jwt, trashDays }: Limits) => [
  [
    'requests per user (before sign-in: per address)',
    `${rateLimit.limit} in ${rateLimit.windowSeconds} s`,
  ],
  ['body', `${bodyLimit} bytes`],
  ['import', `${importing.bytesMax} bytes, ${importing.rowsMax} tasks`],
  ['password', `at least ${passwords.lengthMin} characters`],
  ['access token', `${jwt.ttlSeconds} s`],
  ['session', `${jwt.sessionMaxDays} days after sign-in`],
  ['trash', `${trashDays} days`],
]

/** The parts of the document that describe the service as a whole. */
export const createAbout = (limits: Limits) => ({
  openapi: '3.1.0',
  info: {
    title: 'Taskwarden',
    version,
    description: describe(limits),
    license: { name: 'MIT', identifier: 'MIT' },
  },
  servers: [{ url: '/' }],
  tags: [
    { name: 'Sign-in', description: 'Sign-up and sign-in' },
    { name: 'Account', description: 'The account of the user' },
    { name: 'Sessions', description: 'Sessions of the user, and how to end them' },
    { name: 'Tokens', description: 'Personal access tokens for scripts' },
    { name: 'Tasks', description: 'The tasks of the user' },
    { name: 'Lists', description: 'Lists of tasks' },
    { name: 'Trash', description: 'Deleted tasks until they are erased' },
    { name: 'Many at once', description: 'Batches, export and import' },
    { name: 'Live', description: 'Changes of the tasks: feed, event stream and its tickets' },
    { name: 'Webhooks', description: 'Changes of the tasks, sent to a URL' },
    { name: 'Service', description: 'Health, and the catalogue of problems' },
  ],
})

/** Swagger UI's dialog shows them in this order. */
export const securitySchemes = {
  password: {
    type: 'oauth2',
    description: 'Sign in with e-mail (as `username`) and password',
    flows: { password: { tokenUrl: '/api/oauth/token', scopes: {} } },
  },
  bearer: {
    type: 'http',
    scheme: 'bearer',
    bearerFormat: 'JWT',
    description: 'An access token',
  },
  refreshCookie: {
    type: 'apiKey',
    in: 'cookie',
    name: '__Host-taskwarden-refresh',
    description: 'A refresh token, for refresh and logout only',
  },
}

/** Either scheme is accepted. */
export const protectedBy = [{ password: [] }, { bearer: [] }]
