import { zValidator } from '@hono/zod-validator'
import { Hono } from 'hono'
import { getConnInfo } from 'hono/bun'
import { rateLimiter } from 'hono-rate-limiter'
import { jwtVerify, SignJWT } from 'jose'
import postgres from 'postgres'
import { z } from 'zod'
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

const sql = postgres(settings.databaseUrl, {
  max: settings.poolMax,
  fetch_types: false,
  types: { moment: { to: 1184, from: [1184], serialize: (text) => text, parse: (text) => text } },
})
const prepared = (name) => {
  const { text, valuesOf } = statement(name)
  return (given) => sql.unsafe(text, valuesOf(given), { prepare: true }).values()
}
const run = Object.fromEntries(
  ['find', 'list', 'add', 'replace', 'complete', 'remove', 'credentials', 'signIn'].map((name) => [
    name,
    prepared(name),
  ]),
)

const text = (min, max) =>
  z.string().refine((value) => {
    const length = [...value].length
    return length >= min && length <= max && !value.includes('\0') && value.isWellFormed()
  })
const draft = {
  title: text(1, 500).refine((value) => value.trim() !== ''),
  description: text(0, 10_000).nullable().optional(),
  priority: z.enum(['low', 'normal', 'high', 'urgent']).optional(),
  due_at: z.iso.datetime({ offset: true }).nullable().optional(),
  tags: z
    .array(text(1, 50))
    .max(20)
    .refine((tags) => new Set(tags).size === tags.length)
    .optional(),
}
const NewTask = z.strictObject(draft)
const TaskReplacement = z.strictObject({ ...draft, completed: z.boolean() })
const Completion = z.strictObject({ completed: z.boolean() })
const TaskQuery = z.strictObject({
  limit: z
    .string()
    .regex(/^[1-9]\d{0,2}$/)
    .refine((limit) => Number(limit) <= 200)
    .optional(),
  cursor: z.string().max(8192).optional(),
})
const Credentials = z.strictObject({ email: z.string().max(254), password: text(1, 128) })
const Claims = z.object({
  sub: z.string().regex(uuid),
  sid: z.string().regex(uuid),
  jti: z.string().regex(uuid),
  iat: z.int(),
  exp: z.int(),
})

const refused = (c, status) =>
  c.json(problem(status), status, { 'content-type': 'application/problem+json' })
const checked = (target, schema) =>
  zValidator(target, schema, (result, c) => (result.success ? undefined : refused(c, 422)))

const out = Bun.stdout.writer({ highWaterMark: 65_536 })
setInterval(() => out.flush(), 50)

const app = new Hono()

app.use(async (c, next) => {
  const startedAt = performance.now()
  c.set('requestId', c.req.header('x-request-id') ?? crypto.randomUUID())
  await next()
  c.header('x-request-id', c.get('requestId'))
  c.header('x-content-type-options', 'nosniff')
  c.header('cache-control', c.req.path.startsWith('/api/tasks') ? 'private, no-cache' : 'no-store')
  const line = {
    time: new Date().toISOString(),
    level: 'info',
    event: 'request',
    request_id: c.get('requestId'),
    method: c.req.method,
    path: c.req.path,
    status: c.res.status,
    ms: Math.round((performance.now() - startedAt) * 10) / 10,
    user_id: c.get('who')?.user,
  }
  out.write(`${JSON.stringify(line)}\n`)
})

// Hono's own `verify` accepts only the `typ` JWT.
const expected = {
  algorithms: ['HS256'],
  typ: 'at+jwt',
  issuer: settings.issuer,
  audience: settings.audience,
  requiredClaims: ['iss', 'aud', 'sub', 'sid', 'jti', 'iat', 'exp'],
  clockTolerance: 5,
}
const key = await crypto.subtle.importKey(
  'raw',
  new TextEncoder().encode(settings.secret),
  { name: 'HMAC', hash: 'SHA-256' },
  false,
  ['sign', 'verify'],
)

app.use(async (c, next) => {
  const [scheme, token] = (c.req.header('authorization') ?? '').split(' ')
  if (scheme === 'Bearer' && token !== undefined) {
    try {
      const claims = Claims.parse((await jwtVerify(token, key, expected)).payload)
      if (claims.exp - claims.iat > settings.ttlSeconds) throw new Error('too long a life')
      const now = new Date().toISOString()
      c.set('who', { user: claims.sub, session: claims.sid, now })
    } catch {
      c.set('who', undefined)
    }
  }
  await next()
})

app.use(
  rateLimiter({
    windowMs: settings.windowSeconds * 1000,
    limit: settings.limit,
    standardHeaders: 'draft-6',
    keyGenerator: (c) => c.get('who')?.user ?? getConnInfo(c).remote.address,
  }),
)

app.use('/api/tasks/*', async (c, next) => {
  if (c.get('who') !== undefined) return next()
  c.header('www-authenticate', 'Bearer realm="taskwarden", error="invalid_token"')
  return refused(c, 401)
})

app.onError((error, c) => refused(c, error.status ?? 500))
app.notFound((c) => refused(c, 404))

app.get('/api/tasks', checked('query', TaskQuery), async (c) => {
  const { limit = '50', cursor } = c.req.valid('query')
  const position = cursor === undefined ? firstPosition : positionOf(cursor)
  if (position === undefined) return refused(c, 400)
  const [key, last] = position
  const rows = await run.list({ ...c.get('who'), key, last, rows: Number(limit) + 1 })
  if (rows.length === 0) return refused(c, 401)
  const tasks = rows.flatMap((row) => taskAt(row, 1) ?? []).slice(0, Number(limit))
  const next_cursor = rows.length > Number(limit) ? cursorOf(tasks.at(-1)) : null
  return c.json({ tasks, next_cursor })
})

app.post('/api/tasks', checked('json', NewTask), async (c) => {
  const values = { ...draftOf(c.req.valid('json')), fresh_id: Bun.randomUUIDv7() }
  const [row] = await run.add({ ...c.get('who'), ...values })
  if (row === undefined) return refused(c, 401)
  const task = taskAt(row, 0)
  return c.json(task, 201, { etag: '"1"', location: `/api/tasks/${task.id}` })
})

app.get('/api/tasks/:id', async (c) => {
  const [row] = await run.find({ ...c.get('who'), id: idOf(c.req.param('id')) })
  if (row === undefined) return refused(c, 401)
  const task = taskAt(row, 1)
  if (task === undefined) return refused(c, 404)
  const etag = `"${task.version}"`
  c.header('etag', etag)
  return isKnown(c.req.header('if-none-match'), etag) ? c.body(null, 304) : c.json(task)
})

const write = async (c, name, values) => {
  const versions = versionsOf(c.req.header('if-match'))
  const id = idOf(c.req.param('id'))
  return writtenOf(await run[name]({ ...c.get('who'), id, versions, ...values }))
}

app.put('/api/tasks/:id', checked('json', TaskReplacement), async (c) => {
  const body = c.req.valid('json')
  const values = { ...draftOf(body), completed: body.completed }
  const { status, task } = await write(c, 'replace', values)
  return task ? c.json(task, 200, { etag: `"${task.version}"` }) : refused(c, status)
})

app.patch('/api/tasks/:id/complete', async (c) => {
  const sent = await c.req.text()
  const body = sent === '' ? undefined : Completion.safeParse(JSON.parse(sent))
  if (body?.success === false) return refused(c, 422)
  const { status, task } = await write(c, 'complete', { completed: body?.data.completed ?? null })
  if (task === undefined) return refused(c, status)
  return c.json({ success: true, completed: task.completed }, 200, { etag: `"${task.version}"` })
})

app.delete('/api/tasks/:id', async (c) => {
  const { status, task } = await write(c, 'remove', {})
  return task ? c.json({ success: true }) : refused(c, status)
})

app.post('/api/auth/login', checked('json', Credentials), async (c) => {
  const { email, password } = c.req.valid('json')
  const [known] = await run.credentials({ email: email.trim().toLowerCase() })
  const hash = known?.[2] ?? `$2b$10$${'u'.repeat(22)}${'e'.repeat(31)}`
  const right = await Bun.password.verify(password.normalize('NFC'), hash)
  if (known === undefined || !right) return refused(c, 401)
  const iat = Math.floor(Date.now() / 1000)
  const exp = iat + settings.ttlSeconds
  const [now, expires] = [iat, exp].map((seconds) => new Date(seconds * 1000).toISOString())
  const fresh_id = Bun.randomUUIDv7()
  const [row] = await run.signIn({ user: known[0], hash, now, expires, fresh_id })
  const [id, , name, created_at] = row
  const { issuer: iss, audience: aud } = settings
  const claims = { iss, aud, sub: id, sid: fresh_id, jti: crypto.randomUUID(), iat, exp }
  const user = { id, email: row[1], name, created_at: new Date(created_at).toISOString() }
  const jwt = new SignJWT(claims).setProtectedHeader({ alg: 'HS256', typ: 'at+jwt' })
  const access_token = await jwt.sign(key)
  return c.json({ access_token, token_type: 'Bearer', expires_in: settings.ttlSeconds, user })
})

Bun.serve({
  hostname: '127.0.0.1',
  port: settings.port,
  maxRequestBodySize: 65_536,
  fetch: app.fetch,
})
