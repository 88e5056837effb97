import { expect, test } from 'bun:test'
import { parseConnectionUrl } from '../../../src/db/pool/connection-url.ts'

const sslOf = (host: string, query = '') =>
  parseConnectionUrl(`postgres://ada:pw@${host}/tasks${query}`).options.ssl
const verified = (host: string) => ({ rejectUnauthorized: true, host })

test.each([
  'db.example',
  'ep-cool-1.eu-central-1.aws.neon.tech',
  '203.0.113.9',
  '[2001:db8::1]',
  '172.32.0.1',
  '11.0.0.1',
])('without sslmode, the certificate of the public host %s is verified', (host) => {
  expect(sslOf(host)).toEqual(verified(host.replace(/[[\]]/g, '')))
})

test.each([
  'db',
  'tasks.internal',
  'postgres.railway.internal',
  'my-db.flycast',
  '10.1.2.3',
  '172.31.0.9',
  '192.168.1.4',
  '[fdaa:0:1::3]',
])('without sslmode, the private host %s may be unencrypted', (host) => {
  expect(sslOf(host)).toBe('prefer')
})

test.each(['localhost', '127.0.0.1', '[::1]'])('on the loopback (%s) there is no TLS', (host) => {
  expect(sslOf(host)).toBe(false)
})

test('every sslmode has its effect, and require verifies', () => {
  const host = 'db.example'

  for (const mode of ['require', 'verify-full'])
    expect(sslOf(host, `?sslmode=${mode}&channel_binding=require`)).toEqual(verified(host))
  expect(sslOf(host, '?sslmode=verify-ca')).toMatchObject({
    rejectUnauthorized: true,
    checkServerIdentity: expect.any(Function),
  })
  expect(sslOf(host, '?sslmode=no-verify')).toEqual({ rejectUnauthorized: false, host })
  expect(sslOf(host, '?sslmode=disable')).toBe(false)
  expect(sslOf(host, '?sslmode=prefer')).toBe('prefer')
  expect(() => sslOf(host, '?sslmode=requir')).toThrow('sslmode')
})

test('only known parameters are sent to the server, and a pooler is recognised by its URL', () => {
  const neon = 'postgres://ada@ep-cool-1-pooler.eu-central-1.aws.neon.tech/tasks'
  const { parameters, pooled, preparesThroughPooler } = parseConnectionUrl(
    `${neon}?sslmode=require&channel_binding=require&pgbouncer=true&connection_limit=5&application_name=x`,
  )

  expect({ parameters, pooled, preparesThroughPooler }).toEqual({
    parameters: { application_name: 'x' },
    pooled: true,
    preparesThroughPooler: true,
  })
  expect(
    parseConnectionUrl('postgres://ada@ep-cool-1.eu-central-1.aws.neon.tech/tasks').pooled,
  ).toBe(false)
  expect(parseConnectionUrl('postgres://ada@db:6432/tasks')).toMatchObject({
    pooled: true,
    preparesThroughPooler: false,
  })
})
