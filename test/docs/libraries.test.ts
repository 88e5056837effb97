import { expect, test } from 'bun:test'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { PGlite } from '@electric-sql/pglite'
import { cors } from '@elysiajs/cors'
import { swagger } from '@elysiajs/swagger'
import { Html } from '@kitajs/html'
import { Validator } from '@seriousme/openapi-schema-validator'
import { stringify } from 'csv-stringify/sync'
import { drizzle } from 'drizzle-orm/pglite'
import { migrate } from 'drizzle-orm/pglite/migrator'
import { Elysia, t } from 'elysia'
import ICAL from 'ical.js'
import { Redis } from 'ioredis'
import { LRUCache } from 'lru-cache'
import pino from 'pino'
import { RateLimiterMemory } from 'rate-limiter-flexible'
import { hasRedis, redisServer } from '../support/redis.ts'

/*
 * What the libraries lack that the service could use instead of its own modules
 * (docs/decisions/0025-own-code-or-a-library.md). If one of these tests fails, a new version of the library has what
 * was missing, and the decision has to be made again.
 */

test("Drizzle's migrate() accepts a database with an unknown and an edited migration", async () => {
  const client = await PGlite.create()
  const db = drizzle(client)
  await migrate(db, { migrationsFolder: 'drizzle' })
  await client.query(`update drizzle.__drizzle_migrations set hash = 'edited' where id = 1`)
  await client.query(
    `insert into drizzle.__drizzle_migrations (hash, created_at) values ('unknown', ${Date.now()})`,
  )

  await migrate(db, { migrationsFolder: 'drizzle' })

  const { rows } = await client.query('select 1 from drizzle.__drizzle_migrations')
  expect(rows).toHaveLength((await migrationCount()) + 1)
  await client.close()
})

test("Drizzle's migrate() needs a folder, which a binary does not have", async () => {
  const client = await PGlite.create()
  const missing = join(tmpdir(), Bun.randomUUIDv7())
  await expect(migrate(drizzle(client), { migrationsFolder: missing })).rejects.toThrow('journal')
  await client.close()
})

test('@elysiajs/cors sends headers to an origin that is not listed', async () => {
  const { status, headers } = await preflight('/task', 'https://other.example')

  expect(status).toBe(204)
  expect(headers.get('access-control-allow-origin')).toBeNull()
  expect(headers.get('access-control-allow-methods')).toBe('PUT')
  expect(headers.get('access-control-allow-credentials')).toBe('true')
})

test('@elysiajs/cors accepts a preflight for a path that does not exist', async () => {
  const { status, headers } = await preflight('/nothing', 'https://app.example')

  expect(status).toBe(204)
  expect(headers.get('access-control-allow-methods')).toBe('PUT')
})

test('@elysiajs/swagger generates an invalid document with three media types per body', async () => {
  const body = t.Object({ due_at: t.Union([t.String(), t.Null()]) })
  const app = new Elysia()
    .use(swagger({ path: '/docs', specPath: '/docs/json' }))
    .post('/task', () => '', { body })

  const response = await app.handle(new Request('http://localhost/docs/json'))

  const document = (await response.json()) as SwaggerDocument
  const { valid } = await new Validator().validate(document)
  expect(valid).toBe(false)
  expect(Object.keys(document.paths['/task']?.post?.requestBody.content ?? {})).toHaveLength(3)
})

test('pino logs the message, the statement and the parameters of a database error', () => {
  const lines: string[] = []
  const log = pino({}, { write: (line) => void lines.push(line) })
  const error = Object.assign(new Error('duplicate key'), { query: 'insert', parameters: ['ada'] })

  log.error({ err: error }, 'query failed')

  expect(JSON.parse(lines.join('')).err).toMatchObject({
    message: 'duplicate key',
    query: 'insert',
    parameters: ['ada'],
  })
})

test.skipIf(!hasRedis)('ioredis executes a command after it has reported its failure', async () => {
  await using server = await redisServer()
  await server.stop()
  const client = new Redis(server.port, '127.0.0.1', {
    commandTimeout: 50,
    maxRetriesPerRequest: null,
  })
  client.on('error', () => {})
  await expect(client.incr('count')).rejects.toThrow('timed out')

  await server.start()
  const reader = server.client()
  while ((await reader.get('count')) === null) await Bun.sleep(10)

  expect(await reader.get('count')).toBe('1')
  reader.close()
  client.disconnect()
})

test('rate-limiter-flexible keeps any number of keys in memory', async () => {
  const limiter = new RateLimiterMemory({ points: 100, duration: 3600 })
  for (let n = 0; n < 150_000; n += 1) await limiter.consume(`address:${n}`)

  expect((await limiter.get('address:0'))?.consumedPoints).toBe(1)
  for (let n = 0; n < 150_000; n += 1) await limiter.delete(`address:${n}`)
})

test('lru-cache evicts a key that is over its limit', () => {
  const counts = new LRUCache<string, number>({ max: 1000 })
  counts.set('attacker', 101)
  for (let n = 0; n < 1000; n += 1) counts.set(`other ${n}`, 1)

  expect(counts.get('attacker')).toBeUndefined()
})

test('csv-stringify escapes formulas so that the text cannot be restored', () => {
  const [formula, text] = ['=1+1', "'=1+1"].map((cell) =>
    stringify([[cell]], { escape_formulas: true }),
  )

  expect(formula).toBe(text)
})

test('ical.js folds lines at 76 octets, and keeps control characters', () => {
  const todo = new ICAL.Component('vtodo')
  todo.addPropertyWithValue('summary', `bell\u0007${'long '.repeat(40)}`)

  const lines = todo.toString().split('\r\n')

  // RFC 5545 §3.1: at most 75 octets, and no control characters.
  expect(Math.max(...lines.map((line) => Buffer.byteLength(line)))).toBe(76)
  expect(lines.join('')).toContain('\u0007')
})

test('@kitajs/html does not escape text unless each element asks for it', () => {
  expect(Html.createElement('p', null, '<script>')).toBe('<p><script></p>')
})

type SwaggerDocument = {
  paths: Record<string, Record<string, { requestBody: { content: object } }>>
}

const migrationCount = async (): Promise<number> =>
  (await Bun.file('drizzle/meta/_journal.json').json()).entries.length

const preflight = (path: string, origin: string) =>
  new Elysia()
    .use(cors({ origin: ['https://app.example'] }))
    .put('/task', () => '')
    .handle(
      new Request(`http://localhost${path}`, {
        method: 'OPTIONS',
        headers: { origin, 'access-control-request-method': 'PUT' },
      }),
    )
