import { describe, expect, test } from 'bun:test'
import { eq } from 'drizzle-orm'
import { webhooks } from '../../src/db/schema.ts'
import { database, type Service, type Someone, service } from '../support/service.ts'

const url = 'https://hooks.example/tasks'

const owner = async (env: Record<string, string> = {}) => {
  const here = await service(env)
  const ada = await here.someone()
  return { here, ada, call: ada.call }
}

const create = async ({ call }: Pick<Someone, 'call'>, body: object = { url }) => {
  const answer = await call('POST', '/api/webhooks', body)
  expect([answer.status, answer.text]).toEqual([201, expect.any(String)])
  return answer.body
}

const tokenWith = async ({ call }: Someone, scope: string): Promise<string> => {
  const { status, body } = await call('POST', '/api/auth/tokens', { name: 'x', scope })
  expect(status).toBe(201)
  return body.access_token
}

describe('a webhook', () => {
  test('is created with its secret, which no other response contains', async () => {
    const { ada, call } = await owner()
    const answer = await call('POST', '/api/webhooks', { url })
    const { secret, ...created } = answer.body
    expect(answer.status).toBe(201)
    expect(answer.headers.get('location')).toBe(`/api/webhooks/${created.id}`)
    expect(secret).toMatch(/^whsec_[\w+/]{43}=$/)
    expect(created).toEqual({
      id: expect.any(String),
      url,
      name: null,
      events: ['task.upsert', 'task.delete', 'task.reminder'],
      enabled: true,
      disabled_reason: null,
      created_at: expect.any(String),
      last_success_at: null,
      last_failure: null,
      pending_since: null,
    })
    const path = `/api/webhooks/${created.id}`
    expect((await call('GET', path)).body).toEqual(created)
    expect((await call('GET', '/api/webhooks')).body).toEqual({ webhooks: [created] })
    expect((await call('PATCH', path, { name: 'bot' })).body).toEqual({ ...created, name: 'bot' })
    expect((await call('PATCH', path, {})).body).toEqual({ ...created, name: 'bot' })

    const rotated = await call('POST', `${path}/secret`)
    expect(Object.keys(rotated.body)).toEqual(['secret'])
    expect(rotated.body.secret).not.toBe(secret)
    expect((await call('DELETE', path)).status).toBe(204)
    expect((await call('DELETE', path)).body.code).toBe('webhook-not-found')
    expect((await call('GET', '/api/webhooks')).body).toEqual({ webhooks: [] })
    expect(ada.id).toBeString()
  })

  test('has members that can be changed, and others that cannot', async () => {
    const { call } = await owner()
    const { id } = await create({ call }, { url, name: 'a', events: ['task.delete'] })
    const path = `/api/webhooks/${id}`
    const patch = { url: `${url}2`, name: null, events: ['task.upsert'], enabled: false }
    expect((await call('PATCH', path, patch)).body).toMatchObject({
      ...patch,
      disabled_reason: null,
    })
    const { body: empty } = await call('PATCH', path, { events: [] })
    expect(empty.errors).toEqual([
      { in: 'body', pointer: '/events', detail: 'must have at least 1 item' },
    ])
    for (const body of [
      { secret: 'whsec_x' },
      { user_id: Bun.randomUUIDv7() },
      { events: [] },
      { events: ['task.upsert', 'task.upsert'] },
      { events: ['webhook.test'] },
      { enabled: null },
      { url: null },
      { name: '' },
      { url: '' },
    ])
      expect([body, (await call('PATCH', path, body)).status]).toEqual([body, 422])
  })

  test('is one of at most twenty, also if they are created at once', async () => {
    const { ada, call } = await owner()
    const answers = await Promise.all(
      Array.from({ length: 25 }, () => call('POST', '/api/webhooks', { url })),
    )
    const refused = answers.filter(({ status }) => status !== 201)
    expect(refused.map(({ status, body }) => [status, body.code])).toEqual(
      Array(5).fill([409, 'too-many-webhooks']),
    )
    const { db } = await database()
    const rows = await db.select().from(webhooks).where(eq(webhooks.user_id, ada.id))
    expect(rows.map(({ slot }) => slot).sort((a, b) => a - b)).toEqual(
      Array.from({ length: 20 }, (_, n) => n + 1),
    )
    await call('DELETE', `/api/webhooks/${rows[3]?.id}`)
    await create(ada)
    expect((await call('POST', '/api/webhooks', { url })).status).toBe(409)
  })

  test('shows since when changes wait', async () => {
    const { ada, call } = await owner()
    const { id } = await create(ada)
    const pending = async () => (await call('GET', `/api/webhooks/${id}`)).body.pending_since
    expect(await pending()).toBe(null)
    const { body: task } = await call('POST', '/api/tasks', { title: 'a' })
    await call('POST', '/api/tasks', { title: 'b' })
    expect(await pending()).toBe(task.updated_at)
  })

  test('of another user does not exist', async () => {
    const { here, ada } = await owner()
    const eve = await here.someone()
    const { id } = await create(ada)
    const paths: [string, string, unknown][] = [
      ['GET', '', undefined],
      ['PATCH', '', { enabled: false }],
      ['DELETE', '', undefined],
      ['POST', '/secret', undefined],
      ['POST', '/test', undefined],
    ]
    for (const one of [id, Bun.randomUUIDv7(), 'x'])
      for (const [method, path, body] of paths) {
        const answer = await eve.call(method, `/api/webhooks/${one}${path}`, body)
        expect([method, path, answer.status, answer.body.code]).toEqual([
          method,
          path,
          404,
          'webhook-not-found',
        ])
      }
    expect((await eve.call('GET', '/api/webhooks')).body).toEqual({ webhooks: [] })
    expect((await ada.call('GET', `/api/webhooks/${id}`)).body.enabled).toBe(true)
  })
})

describe('a personal token', () => {
  const statuses = async ({ call }: Service, token: string) => [
    (await call('GET', '/api/webhooks', { token })).status,
    (await call('POST', '/api/webhooks', { token, body: { url } })).status,
    (await call('GET', '/api/tasks', { token })).status,
    (await call('POST', '/api/tasks', { token, body: { title: 'x' } })).status,
    (await call('GET', '/api/auth/sessions', { token })).status,
  ]

  test('needs the scope webhooks:write, which permits reading tasks and nothing else', async () => {
    const { here, ada, call } = await owner()
    const hooks = await tokenWith(ada, 'webhooks:write')
    expect(await statuses(here, hooks)).toEqual([200, 201, 200, 403, 403])
    expect(await statuses(here, await tokenWith(ada, 'tasks:read'))).toEqual([
      403, 403, 200, 403, 403,
    ])
    expect(await statuses(here, await tokenWith(ada, 'tasks:write'))).toEqual([
      403, 403, 200, 201, 403,
    ])
    const { body } = await call('GET', '/api/auth/tokens')
    expect(body.tokens.map(({ scope }: { scope: string }) => scope)).toEqual([
      'webhooks:write',
      'tasks:read',
      'tasks:write',
    ])
  })
})

const production = { DATABASE_URL: 'postgres://localhost/x' }
/** Settings of PostgreSQL: development receivers are not permitted. The database of the tests is used. */
const refusals = async (urls: string[], env: Record<string, string> = {}) => {
  const { call } = await owner({ ...production, MAIL_URL: '', ...env })
  const answers: [string, number][] = []
  for (const one of urls)
    answers.push([one, (await call('POST', '/api/webhooks', { url: one })).status])
  return answers
}

describe('a URL', () => {
  const refused = [
    'http://hooks.example/',
    'ftp://hooks.example/',
    'file:///etc/passwd',
    'javascript:alert(1)',
    'hooks.example',
    'https://',
    'https:///x',
    'https://user@hooks.example/',
    'https://user:password@hooks.example/',
    'https://127.0.0.1/',
    'https://127.1/',
    'https://2130706433/',
    'https://0x7f000001/',
    'https://0177.0.0.1/',
    'https://0/',
    'https://10.0.0.1/',
    'https://172.16.0.1/',
    'https://192.168.1.1:8443/',
    'https://169.254.169.254/latest/meta-data/',
    'https://100.64.0.1/',
    'https://192.0.2.1/',
    'https://198.18.0.1/',
    'https://224.0.0.1/',
    'https://240.0.0.1/',
    'https://255.255.255.255/',
    'https://[::]/',
    'https://[::1]/',
    'https://[::ffff:127.0.0.1]/',
    'https://[::ffff:93.184.215.14]/',
    'https://[::127.0.0.1]/',
    'https://[64:ff9b::7f00:1]/',
    'https://[64:ff9b:1::7f00:1]/',
    'https://[2002:7f00:1::]/',
    'https://[2001:0:4136:e378:8000:63bf:3fff:fdd2]/',
    'https://[fe80::1]/',
    'https://[fe80::1%25eth0]/',
    'https://[fc00::1]/',
    'https://[fec0::1]/',
    'https://[ff02::1]/',
    'https://[2001:db8::1]/',
    'https://[3fff::1]/',
    'https://[100::1]/',
  ]

  test('that cannot be one of the public internet is refused', async () => {
    expect(await refusals(refused)).toEqual(refused.map((one) => [one, 422]))
  })

  test('with a public address or a name is accepted', async () => {
    const accepted = ['https://93.184.215.14/', 'https://[2606:2800:21f::1]:8443/x?y=z', url]
    expect(await refusals(accepted)).toEqual(accepted.map((one) => [one, 201]))
  })

  test('of a listed host is accepted', async () => {
    const env = { WEBHOOK_ALLOWED_HOSTS: 'hooks.internal, 10.0.0.5:8080,[fc00::1]' }
    const urls: [string, number][] = [
      ['http://hooks.internal/', 201],
      ['http://hooks.internal:99/', 201],
      ['http://10.0.0.5:8080/', 201],
      ['http://10.0.0.5/', 422],
      ['https://10.0.0.5:8081/', 422],
      ['http://[fc00::1]/', 201],
      ['http://hooks.internal.example/', 422],
    ]
    expect(
      await refusals(
        urls.map(([one]) => one),
        env,
      ),
    ).toEqual(urls)
  })

  test('of this machine is accepted with the embedded database only', async () => {
    const { call } = await owner({ DATABASE_URL: 'pglite:memory' })
    for (const [one, status] of [
      ['http://127.0.0.1:9/', 201],
      ['http://[::1]:9/', 201],
      ['http://localhost:9/', 201],
      ['http://10.0.0.1/', 422],
      ['http://169.254.169.254/', 422],
    ] as const)
      expect([one, (await call('POST', '/api/webhooks', { url: one })).status]).toEqual([
        one,
        status,
      ])
  })
})
