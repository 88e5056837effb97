import { createHmac, timingSafeEqual } from 'node:crypto'
import { writeSync } from 'node:fs'
import postgres from 'postgres'
import {
  cursorOf,
  draftOf,
  firstPosition,
  idOf,
  isKnown,
  positionOf,
  problem,
  settings,
  statement,
  taskAt,
  uuid,
  versionsOf,
  writtenOf,
} from '../shared.mjs'

/*
 * The upper limit: the statements and checks of the service, written by hand on `Bun.serve` and postgres.js. It has no
 * deadlines, no draining and no error details.
 */

const sql = postgres(settings.databaseUrl, {
  max: settings.poolMax,
  fetch_types: false,
  types: { moment: { to: 1184, from: [1184], serialize: (text) => text, parse: (text) => text } },
})
const prepared = (name) => {
  const { text, valuesOf } = statement(name)
  return (given) => sql.unsafe(text, valuesOf(given), { prepare: true }).values()
}
const find = prepared('find')
const list = prepared('list')
const add = prepared('add')
const replace = prepared('replace')
const complete = prepared('complete')
const remove = prepared('remove')
const credentials = prepared('credentials')
const signIn = prepared('signIn')

const hmac = (text) => createHmac('sha256', settings.secret).update(text).digest()
const verdicts = new Map()

const identify = (authorization) => {
  if (authorization === null || !authorization.startsWith('Bearer ')) return undefined
  const token = authorization.slice(7)
  const known = verdicts.get(token)
  if (known !== undefined && known.exp * 1000 > Date.now()) return known
  const [head, claims, signature, ...more] = token.split('.')
  if (signature === undefined || more.length > 0) return undefined
  const given = Buffer.from(signature, 'base64url')
  if (given.length !== 32 || !timingSafeEqual(given, hmac(`${head}.${claims}`))) return undefined
  const { alg, typ } = JSON.parse(Buffer.from(head, 'base64url'))
  const { iss, aud, sub, sid, jti, iat, exp } = JSON.parse(Buffer.from(claims, 'base64url'))
  const now = Date.now() / 1000
  const good =
    alg === 'HS256' &&
    typ === 'at+jwt' &&
    iss === settings.issuer &&
    aud === settings.audience &&
    [sub, sid, jti].every((id) => typeof id === 'string' && uuid.test(id)) &&
    Number.isInteger(iat) &&
    Number.isInteger(exp) &&
    exp > now &&
    iat <= now + 5 &&
    exp - iat <= settings.ttlSeconds
  if (!good) return undefined
  if (verdicts.size >= 16_384) verdicts.delete(verdicts.keys().next().value)
  const identity = { user: sub, session: sid, exp }
  verdicts.set(token, identity)
  return identity
}

const signed = (claims) => {
  const part = (value) => Buffer.from(JSON.stringify(value)).toString('base64url')
  const text = `${part({ alg: 'HS256', typ: 'at+jwt' })}.${part(claims)}`
  return `${text}.${hmac(text).toString('base64url')}`
}

const counters = new Map()
const windowMs = settings.windowSeconds * 1000
const count = (key) => {
  const now = Date.now()
  let counter = counters.get(key)
  if (counter === undefined || counter.resetsAt <= now) {
    counter = { count: 0, resetsAt: now + windowMs }
    counters.set(key, counter)
  }
  counter.count += 1
  return counter
}

const isText = (value, min, max) =>
  typeof value === 'string' &&
  !value.includes('\0') &&
  value.isWellFormed() &&
  value.length >= min &&
  (value.length <= max || [...value].length <= max)
const isMoment = (value) =>
  typeof value === 'string' &&
  /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{1,3})?(Z|[+-]\d\d:\d\d)$/.test(value) &&
  !Number.isNaN(Date.parse(value))
const priorities = new Set(['low', 'normal', 'high', 'urgent'])
const checks = {
  title: (value) => isText(value, 1, 500) && value.trim() !== '',
  description: (value) => value === null || isText(value, 0, 10_000),
  priority: (value) => priorities.has(value),
  due_at: (value) => value === null || isMoment(value),
  tags: (value) =>
    Array.isArray(value) &&
    value.length <= 20 &&
    value.every((tag) => isText(tag, 1, 50)) &&
    new Set(value).size === value.length,
}
const isClosed = (value, known) => {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return false
  for (const name in value) if (!known[name]?.(value[name])) return false
  return true
}
const replacing = { ...checks, completed: (value) => typeof value === 'boolean' }
const completing = { completed: replacing.completed }
const credentialsShape = { email: (v) => isText(v, 1, 254), password: (v) => isText(v, 1, 128) }

let lines = ''
setInterval(() => {
  if (lines !== '') writeSync(1, lines)
  lines = ''
}, 50)

const refused = (status) => ({
  status,
  body: problem(status),
  type: 'application/problem+json',
  challenge: status === 401,
})

const bodyOf = async (request) => {
  const text = await request.text()
  return text === '' ? undefined : JSON.parse(text)
}

/** Undefined if the parameters are invalid. */
const pageOf = (query) => {
  let limit = 50
  let position = firstPosition
  for (const [name, value] of new URLSearchParams(query)) {
    if (name === 'limit' && /^[1-9]\d{0,2}$/.test(value) && Number(value) <= 200)
      limit = Number(value)
    else if (name === 'cursor') position = positionOf(value)
    else return undefined
  }
  return position && { limit, position }
}

const routes = {
  list: async ({ who, query }) => {
    const page = pageOf(query)
    if (page === undefined) return refused(422)
    const [key, last] = page.position
    const rows = await list({ ...who, key, last, rows: page.limit + 1 })
    if (rows.length === 0) return refused(401)
    const tasks = []
    for (const row of rows)
      if (row[1] !== null && tasks.length < page.limit) tasks.push(taskAt(row, 1))
    const next_cursor = rows.length > page.limit ? cursorOf(tasks.at(-1)) : null
    return { status: 200, body: { tasks, next_cursor } }
  },

  find: async ({ who, id, request }) => {
    const [row] = await find({ ...who, id })
    if (row === undefined) return refused(401)
    const task = taskAt(row, 1)
    if (task === undefined) return refused(404)
    const etag = `"${task.version}"`
    if (isKnown(request.headers.get('if-none-match'), etag)) return { status: 304, etag }
    return { status: 200, body: task, etag }
  },

  add: async ({ who, request }) => {
    const body = await bodyOf(request)
    if (!isClosed(body, checks) || body.title === undefined) return refused(422)
    const [row] = await add({ ...who, ...draftOf(body), fresh_id: Bun.randomUUIDv7() })
    if (row === undefined) return refused(401)
    const task = taskAt(row, 0)
    return { status: 201, body: task, etag: '"1"', location: `/api/tasks/${task.id}` }
  },

  replace: async ({ who, id, request }) => {
    const body = await bodyOf(request)
    if (!isClosed(body, replacing) || body.title === undefined || body.completed === undefined)
      return refused(422)
    const versions = versionsOf(request.headers.get('if-match'))
    const { completed } = body
    const written = writtenOf(await replace({ ...who, id, versions, ...draftOf(body), completed }))
    if (written.task === undefined) return refused(written.status)
    return { status: 200, body: written.task, etag: `"${written.task.version}"` }
  },

  complete: async ({ who, id, request }) => {
    const body = await bodyOf(request)
    if (body !== undefined && (!isClosed(body, completing) || body.completed === undefined))
      return refused(422)
    const versions = versionsOf(request.headers.get('if-match'))
    const completed = body?.completed ?? null
    const written = writtenOf(await complete({ ...who, id, versions, completed }))
    if (written.task === undefined) return refused(written.status)
    const { task } = written
    return {
      status: 200,
      body: { success: true, completed: task.completed },
      etag: `"${task.version}"`,
    }
  },

  remove: async ({ who, id, request }) => {
    const versions = versionsOf(request.headers.get('if-match'))
    const written = writtenOf(await remove({ ...who, id, versions }))
    if (written.task === undefined) return refused(written.status)
    return { status: 200, body: { success: true } }
  },

  login: async ({ request, now }) => {
    const body = await bodyOf(request)
    if (!isClosed(body, credentialsShape) || Object.keys(body).length !== 2) return refused(422)
    const [known] = await credentials({ email: body.email.trim().toLowerCase() })
    const hash = known?.[2] ?? `$2b$10$${'u'.repeat(22)}${'e'.repeat(31)}`
    const right = await Bun.password.verify(body.password.normalize('NFC'), hash)
    if (known === undefined || !right) return refused(401)
    const iat = Math.floor(Date.now() / 1000)
    const exp = iat + settings.ttlSeconds
    const fresh_id = Bun.randomUUIDv7()
    const expires = new Date(exp * 1000).toISOString()
    const [row] = await signIn({ user: known[0], hash, now, expires, fresh_id })
    const [id, email, name, created_at] = row
    const { issuer: iss, audience: aud } = settings
    const claims = { iss, aud, sub: id, sid: fresh_id, jti: Bun.randomUUIDv7(), iat, exp }
    const user = { id, email, name, created_at: new Date(created_at).toISOString() }
    const access_token = signed(claims)
    return {
      status: 200,
      body: { access_token, token_type: 'Bearer', expires_in: settings.ttlSeconds, user },
    }
  },
}

const tasks = '/api/tasks'
const routeOf = (method, path) => {
  if (path === tasks) return method === 'GET' ? 'list' : method === 'POST' ? 'add' : undefined
  if (path.startsWith('/api/tasks/')) {
    const rest = path.slice(11)
    if (rest.endsWith('/complete')) return method === 'PATCH' ? 'complete' : undefined
    if (rest.includes('/')) return undefined
    return method === 'GET'
      ? 'find'
      : method === 'PUT'
        ? 'replace'
        : method === 'DELETE'
          ? 'remove'
          : undefined
  }
  return path === '/api/auth/login' && method === 'POST' ? 'login' : undefined
}

const answer = async (request, name, path, query, identity, now) => {
  if (name === undefined) return refused(404)
  if (name !== 'login' && identity === undefined) return refused(401)
  const who = identity && { user: identity.user, session: identity.session, now }
  try {
    return await routes[name]({ request, query, who, now, id: idOf(path.slice(11, 47)) })
  } catch (error) {
    return refused(error instanceof SyntaxError ? 400 : 500)
  }
}

Bun.serve({
  hostname: '127.0.0.1',
  port: settings.port,
  maxRequestBodySize: 65_536,
  async fetch(request, server) {
    const startedAt = performance.now()
    const { url, method, headers } = request
    const pathAt = url.indexOf('/', 8)
    const queryAt = url.indexOf('?', pathAt)
    const path = queryAt === -1 ? url.slice(pathAt) : url.slice(pathAt, queryAt)
    const query = queryAt === -1 ? '' : url.slice(queryAt + 1)
    const name = routeOf(method, path)
    const time = new Date().toISOString()
    const requestId = headers.get('x-request-id') ?? Bun.randomUUIDv7()
    const identity = identify(headers.get('authorization'))
    const key = identity === undefined ? server.requestIP(request)?.address : identity.user
    const counter = count(key)
    const over = counter.count > settings.limit
    const result = over ? refused(429) : await answer(request, name, path, query, identity, time)

    const remaining = Math.max(0, settings.limit - counter.count)
    const seconds = Math.ceil((counter.resetsAt - Date.now()) / 1000)
    const answered = {
      'x-request-id': requestId,
      'x-content-type-options': 'nosniff',
      'content-security-policy': "default-src 'none'; frame-ancestors 'none'",
      'referrer-policy': 'no-referrer',
      'cache-control': path.startsWith(tasks) ? 'private, no-cache' : 'no-store',
      'ratelimit-limit': String(settings.limit),
      'ratelimit-remaining': String(remaining),
      'ratelimit-reset': String(seconds),
      'ratelimit-policy': `"api";q=${settings.limit};w=${settings.windowSeconds}`,
      ratelimit: `"api";r=${remaining};t=${seconds}`,
    }
    if (result.body !== undefined) answered['content-type'] = result.type ?? 'application/json'
    if (result.etag !== undefined) answered.etag = result.etag
    if (result.location !== undefined) answered.location = result.location
    if (result.challenge)
      answered['www-authenticate'] = 'Bearer realm="taskwarden", error="invalid_token"'
    if (over) answered['retry-after'] = String(seconds)
    const ms = Math.round((performance.now() - startedAt) * 10) / 10
    lines += `${JSON.stringify({ time, level: 'info', event: 'request', request_id: requestId, method, route: name, status: result.status, ms, user_id: identity?.user })}\n`
    const body = result.body === undefined ? null : JSON.stringify(result.body)
    return new Response(body, { status: result.status, headers: answered })
  },
})
