import { randomUUID } from 'node:crypto'
import jwt from '@fastify/jwt'
import rateLimit from '@fastify/rate-limit'
import bcrypt from 'bcrypt'
import Fastify from 'fastify'
import pg from 'pg'
import pino from 'pino'
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

pg.types.setTypeParser(1184, (text) => text)
const pool = new pg.Pool({ connectionString: settings.databaseUrl, max: settings.poolMax })
const prepared = (name) => {
  const { text, valuesOf } = statement(name)
  return async (given) =>
    (await pool.query({ name, text, values: valuesOf(given), rowMode: 'array' })).rows
}
const run = Object.fromEntries(
  ['find', 'list', 'add', 'replace', 'complete', 'remove', 'credentials', 'signIn'].map((name) => [
    name,
    prepared(name),
  ]),
)

const string = { type: 'string' }
const moment = { type: 'string', format: 'date-time', nullable: true }
const priority = { type: 'string', enum: ['low', 'normal', 'high', 'urgent'] }
const draft = {
  title: { type: 'string', minLength: 1, maxLength: 500, pattern: '\\S' },
  description: { type: 'string', maxLength: 10_000, pattern: '^[^\\0]*$', nullable: true },
  priority,
  due_at: moment,
  tags: {
    type: 'array',
    maxItems: 20,
    uniqueItems: true,
    items: { type: 'string', minLength: 1, maxLength: 50, pattern: '^[^\\0]*$' },
  },
}
const closed = (properties, required = []) => ({
  type: 'object',
  additionalProperties: false,
  properties,
  required,
})
const taskProperties = {
  id: string,
  user_id: string,
  title: string,
  description: { type: 'string', nullable: true },
  completed: { type: 'boolean' },
  completed_at: { type: 'string', nullable: true },
  priority: string,
  due_at: { type: 'string', nullable: true },
  tags: { type: 'array', items: string },
  version: { type: 'integer' },
  created_at: string,
  updated_at: string,
}
const Task = closed(taskProperties, Object.keys(taskProperties))
const TaskPage = closed({
  tasks: { type: 'array', items: Task },
  next_cursor: { type: 'string', nullable: true },
})

const app = Fastify({
  logger: { stream: pino.destination({ dest: 1, sync: false, minLength: 4096 }) },
  disableRequestLogging: true,
  genReqId: (request) => request.headers['x-request-id'] ?? randomUUID(),
  bodyLimit: 65_536,
  ajv: { customOptions: { removeAdditional: false, coerceTypes: false, allErrors: false } },
})

await app.register(jwt, {
  secret: settings.secret,
  sign: { algorithm: 'HS256', header: { typ: 'at+jwt' } },
  verify: {
    algorithms: ['HS256'],
    allowedIss: settings.issuer,
    allowedAud: settings.audience,
    checkTyp: 'at+jwt',
    requiredClaims: ['iss', 'aud', 'sub', 'sid', 'jti', 'iat', 'exp'],
    cache: 16_384,
  },
})

app.decorateRequest('who', undefined)
app.addHook('onRequest', async (request, reply) => {
  reply.headers({
    'x-request-id': request.id,
    'x-content-type-options': 'nosniff',
    'cache-control': request.url.startsWith('/api/tasks') ? 'private, no-cache' : 'no-store',
  })
  if (request.headers.authorization === undefined) return
  try {
    const { sub, sid, jti, iat, exp } = await request.jwtVerify()
    const good = [sub, sid, jti].every((id) => typeof id === 'string' && uuid.test(id))
    if (good && exp - iat <= settings.ttlSeconds) request.who = { user: sub, session: sid }
  } catch {
    request.who = undefined
  }
})

await app.register(rateLimit, {
  max: settings.limit,
  timeWindow: settings.windowSeconds * 1000,
  cache: 100_000,
  enableDraftSpec: true,
  keyGenerator: (request) => request.who?.user ?? request.ip,
})

app.addHook('onResponse', (request, reply, done) => {
  request.log.info(
    {
      method: request.method,
      route: request.routeOptions.url,
      status: reply.statusCode,
      ms: Math.round(reply.elapsedTime * 10) / 10,
      user_id: request.who?.user,
    },
    'request',
  )
  done()
})

const refused = (reply, status) =>
  reply.code(status).type('application/problem+json').send(problem(status))
app.setErrorHandler((error, _request, reply) =>
  refused(reply, error.validation ? 422 : (error.statusCode ?? 500)),
)
app.setNotFoundHandler((_request, reply) => refused(reply, 404))

const whoOf = ({ who }) => ({ ...who, now: new Date().toISOString() })
const written = async (name, request, values) =>
  writtenOf(
    await run[name]({
      ...whoOf(request),
      id: idOf(request.params.id),
      versions: versionsOf(request.headers['if-match']),
      ...values,
    }),
  )

app.register(async (tasks) => {
  // After the rate limiter, which uses `onRequest`, so that a 401 counts too.
  tasks.addHook('preParsing', async (request, reply) => {
    if (request.who !== undefined) return
    reply.header('www-authenticate', 'Bearer realm="taskwarden", error="invalid_token"')
    return refused(reply, 401)
  })

  const listing = {
    querystring: closed({
      limit: { type: 'string', pattern: '^([1-9]\\d?|1\\d\\d|200)$' },
      cursor: { type: 'string', maxLength: 8192 },
    }),
    response: { 200: TaskPage },
  }
  tasks.get('/api/tasks', { schema: listing }, async (request, reply) => {
    const { cursor } = request.query
    const limit = Number(request.query.limit ?? 50)
    const position = cursor === undefined ? firstPosition : positionOf(cursor)
    if (position === undefined) return refused(reply, 400)
    const [key, last] = position
    const rows = await run.list({ ...whoOf(request), key, last, rows: limit + 1 })
    if (rows.length === 0) return refused(reply, 401)
    const page = rows.flatMap((row) => taskAt(row, 1) ?? []).slice(0, limit)
    return { tasks: page, next_cursor: rows.length > limit ? cursorOf(page.at(-1)) : null }
  })

  const adding = { body: closed(draft, ['title']), response: { 201: Task } }
  tasks.post('/api/tasks', { schema: adding }, async (request, reply) => {
    const values = { ...draftOf(request.body), fresh_id: randomUUID() }
    const [row] = await run.add({ ...whoOf(request), ...values })
    if (row === undefined) return refused(reply, 401)
    const task = taskAt(row, 0)
    reply.code(201).headers({ etag: '"1"', location: `/api/tasks/${task.id}` })
    return task
  })

  const reading = { response: { 200: Task } }
  tasks.get('/api/tasks/:id', { schema: reading }, async (request, reply) => {
    const [row] = await run.find({ ...whoOf(request), id: idOf(request.params.id) })
    if (row === undefined) return refused(reply, 401)
    const task = taskAt(row, 1)
    if (task === undefined) return refused(reply, 404)
    const etag = `"${task.version}"`
    reply.header('etag', etag)
    return isKnown(request.headers['if-none-match'], etag) ? reply.code(304).send() : task
  })

  const replacing = {
    body: closed({ ...draft, completed: { type: 'boolean' } }, ['title', 'completed']),
    response: { 200: Task },
  }
  tasks.put('/api/tasks/:id', { schema: replacing }, async (request, reply) => {
    const values = { ...draftOf(request.body), completed: request.body.completed }
    const { status, task } = await written('replace', request, values)
    if (task === undefined) return refused(reply, status)
    reply.header('etag', `"${task.version}"`)
    return task
  })

  const success = { success: { type: 'boolean' } }
  const completing = {
    body: { ...closed({ completed: { type: 'boolean' } }, ['completed']), nullable: true },
    response: { 200: closed({ ...success, completed: { type: 'boolean' } }) },
  }
  tasks.patch('/api/tasks/:id/complete', { schema: completing }, async (request, reply) => {
    const completed = request.body?.completed ?? null
    const { status, task } = await written('complete', request, { completed })
    if (task === undefined) return refused(reply, status)
    reply.header('etag', `"${task.version}"`)
    return { success: true, completed: task.completed }
  })

  const removing = { response: { 200: closed(success) } }
  tasks.delete('/api/tasks/:id', { schema: removing }, async (request, reply) => {
    const { status, task } = await written('remove', request, {})
    return task ? { success: true } : refused(reply, status)
  })
})

const credentials = closed(
  {
    email: { type: 'string', maxLength: 254 },
    password: { type: 'string', minLength: 1, maxLength: 128 },
  },
  ['email', 'password'],
)
app.post('/api/auth/login', { schema: { body: credentials } }, async (request, reply) => {
  const { email, password } = request.body
  const [known] = await run.credentials({ email: email.trim().toLowerCase() })
  const hash = known?.[2] ?? `$2b$10$${'u'.repeat(22)}${'e'.repeat(31)}`
  const right = await bcrypt.compare(password.normalize('NFC'), hash)
  if (known === undefined || !right) return refused(reply, 401)
  const iat = Math.floor(Date.now() / 1000)
  const exp = iat + settings.ttlSeconds
  const [now, expires] = [iat, exp].map((seconds) => new Date(seconds * 1000).toISOString())
  const fresh_id = randomUUID()
  const [row] = await run.signIn({ user: known[0], hash, now, expires, fresh_id })
  const [id, address, name, created_at] = row
  const { issuer: iss, audience: aud } = settings
  const user = { id, email: address, name, created_at: new Date(created_at).toISOString() }
  const access_token = app.jwt.sign({
    iss,
    aud,
    sub: id,
    sid: fresh_id,
    jti: randomUUID(),
    iat,
    exp,
  })
  return { access_token, token_type: 'Bearer', expires_in: settings.ttlSeconds, user }
})

await app.listen({ host: '127.0.0.1', port: settings.port })
