import { readFileSync } from 'node:fs'

/*
 * Shared by the JavaScript peers, so that SQL and row mapping are equally fast in all of them. The statements are those
 * of the service, which the benchmark records.
 */

const { env } = process

export const settings = {
  port: Number(env.PORT),
  databaseUrl: env.DATABASE_URL,
  poolMax: Number(env.DB_POOL_MAX),
  secret: env.JWT_SECRET,
  issuer: 'taskwarden',
  audience: 'taskwarden-api',
  ttlSeconds: 86_400,
  limit: Number(env.RATE_LIMIT),
  windowSeconds: Number(env.RATE_WINDOW_SECONDS),
}

const statements = JSON.parse(readFileSync(env.STATEMENTS, 'utf8'))

/** The text of a statement, and the values of its parameters in order, by their names. */
export const statement = (name) => {
  const { text, parameters } = statements[name]
  return {
    name,
    text,
    valuesOf: (given) => parameters.map((parameter) => given[parameter] ?? null),
  }
}

export const firstPosition = ['infinity', 'ffffffff-ffff-ffff-ffff-ffffffffffff']

export const cursorOf = ({ created_at, id }) =>
  Buffer.from(JSON.stringify([created_at, id])).toString('base64url')

export const positionOf = (cursor) => {
  try {
    const position = JSON.parse(Buffer.from(cursor, 'base64url').toString())
    return Array.isArray(position) && position.length === 2 ? position : undefined
  } catch {
    return undefined
  }
}

/** Converts PostgreSQL's text of a `timestamptz` in UTC to RFC 3339 with milliseconds. */
const instantOf = (text) => {
  if (text === null) return null
  const time = text.slice(11, -3)
  const padded = time.length === 8 ? `${time}.000` : time.padEnd(12, '0')
  return `${text.slice(0, 10)}T${padded}Z`
}

const tagsOf = (tags) => {
  if (typeof tags !== 'string') return tags
  if (tags === '{}') return []
  return [...tags.matchAll(/"((?:[^"\\]|\\.)*)"|[^,{}]+/gs)].map(([bare, quoted]) =>
    quoted === undefined ? bare : quoted.replace(/\\(.)/gs, '$1'),
  )
}

/** The Task whose columns start at `at`; undefined if they are null. */
export const taskAt = (row, at) =>
  row[at] === null
    ? undefined
    : {
        id: row[at],
        user_id: row[at + 1],
        title: row[at + 2],
        description: row[at + 3],
        completed: row[at + 4],
        completed_at: instantOf(row[at + 5]),
        priority: row[at + 6],
        due_at: instantOf(row[at + 7]),
        tags: tagsOf(row[at + 8]),
        version: row[at + 9],
        created_at: instantOf(row[at + 10]),
        updated_at: instantOf(row[at + 11]),
      }

const arrayOf = (items) =>
  `{${items.map((item) => `"${item.replace(/["\\]/g, '\\$&')}"`).join(',')}}`

/** The parameters for the members that a client sends. */
export const draftOf = ({
  title,
  description = null,
  priority = 'normal',
  due_at = null,
  tags = [],
}) => ({
  title,
  description,
  priority,
  due_at,
  tags: arrayOf(tags),
})

export const uuid = /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/
export const missingId = '00000000-0000-0000-0000-000000000000'
export const idOf = (text) => (uuid.test(text) ? text : missingId)

/** Reads the result of a write like the repository of the service. */
export const writtenOf = ([row]) => {
  if (row === undefined) return { status: 401 }
  const task = taskAt(row, 4)
  if (task !== undefined) return { status: 200, task }
  return row[1] === null ? { status: 404 } : { status: 412 }
}

/** `If-Match` as a parameter: the accepted versions, or null for any version. */
export const versionsOf = (header) => {
  if (header === undefined || header === null || header === '*') return null
  return `{${header.match(/"[1-9]\d{0,8}"/g) ?? ''}}`
}

export const isKnown = (header, etag) =>
  header !== undefined &&
  header !== null &&
  (header === '*' || header.split(/\s*,\s*/).includes(etag))

export const problem = (status) => ({ type: 'about:blank', title: titles[status], status })
const titles = {
  400: 'Bad Request',
  401: 'Unauthorized',
  404: 'Not Found',
  412: 'Precondition Failed',
  422: 'Unprocessable Content',
  429: 'Too Many Requests',
  500: 'Internal Server Error',
}
