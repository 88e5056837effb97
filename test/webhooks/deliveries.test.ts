import { afterEach, describe, expect, test } from 'bun:test'
import { eq } from 'drizzle-orm'
import { mailMessages, webhooks } from '../../src/db/schema.ts'
import { type Behaviour, ok, startReceiver, verified } from '../support/receiver.ts'
import { database, pass, realTime, service } from '../support/service.ts'
import { startSmtp } from '../support/smtp.ts'

afterEach(realTime)

const [second, hour, day] = [1000, 3_600_000, 86_400_000]
const long = { JWT_TTL_SECONDS: '2592000', SESSION_MAX_DAYS: '3650' }

const failing: Behaviour = () => new Response('secret of the network', { status: 500 })

const subscribed = async (env: Record<string, string> = {}, more: object = {}) => {
  // What other tests and earlier runs have left would be delivered too.
  await (await database()).db.delete(webhooks)
  const receiver = startReceiver()
  const here = await service({ ...long, WEBHOOK_ALLOWED_HOSTS: '127.0.0.1', ...env })
  const ada = await here.someone()
  const { status, body } = await ada.call('POST', '/api/webhooks', { url: receiver.url, ...more })
  expect(status).toBe(201)
  const { id, secret } = body
  const path = `/api/webhooks/${id}`
  const get = async () => (await ada.call('GET', path)).body
  const add = async (title: string) => (await ada.call('POST', '/api/tasks', { title })).body
  return {
    receiver,
    here,
    ada,
    call: ada.call,
    id,
    secret,
    path,
    get,
    add,
    send: here.sendWebhooks,
  }
}

describe('a webhook', () => {
  test('receives each later change, signed, in order', async () => {
    const { receiver, call, add, send, secret, get } = await subscribed()
    const task = await add('a')
    const { body: changed } = await call('PATCH', `/api/tasks/${task.id}`, { title: 'b' })
    const other = await add('c')
    await call('DELETE', `/api/tasks/${task.id}`)
    await send()

    const { body: trash } = await call('GET', '/api/tasks/trash')
    const { deleted_at } = trash.tasks[0]
    expect(receiver.bodies()).toEqual([
      { type: 'task.upsert', timestamp: other.updated_at, data: other },
      { type: 'task.delete', timestamp: deleted_at, data: { id: changed.id, deleted_at } },
    ])
    for (const one of receiver.all) {
      expect(verified(one, secret)).toEqual(JSON.parse(one.body))
      expect(one.headers['content-type']).toBe('application/json')
      expect(one.headers['webhook-id']).toMatch(/^msg_[\w-]{43}$/)
      expect(one.headers['user-agent']).toMatch(/^Taskwarden\//)
    }
    expect(() => verified(receiver.all[0]!, 'whsec_AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA')).toThrow()
    await send()
    expect(receiver.all).toHaveLength(2)
    expect(await get()).toMatchObject({
      enabled: true,
      last_success_at: expect.any(String),
      last_failure: null,
      pending_since: null,
    })
    await receiver.stop()
  })

  test('receives only the events that it asked for, and nothing of another user', async () => {
    const { receiver, here, call, add, send } = await subscribed({}, { events: ['task.delete'] })
    const eve = await here.someone()
    await eve.call('POST', '/api/tasks', { title: 'private' })
    const task = await add('a')
    await call('DELETE', `/api/tasks/${task.id}`)
    await send()
    expect(receiver.bodies().map(({ type }) => type)).toEqual(['task.delete'])
    await receiver.stop()
  })

  test('of many changes receives all of a batch, over several statements', async () => {
    const { receiver, call, send } = await subscribed()
    const create = Array.from({ length: 45 }, (_, n) => ({ title: `${n}` }))
    await call('POST', '/api/tasks/batch', { create })
    await send()
    expect(receiver.titles().toSorted()).toEqual(create.map(({ title }) => title).toSorted())
    await receiver.stop()
  })

  test('that fails is tried again by the schedule, with the same id and a new time, and then continues', async () => {
    const { receiver, add, send, get } = await subscribed()
    receiver.behave(failing)
    const task = await add('a')
    await add('b')
    await send()
    expect(receiver.titles()).toEqual(['a'])
    expect(await get()).toMatchObject({
      enabled: true,
      last_success_at: null,
      last_failure: { at: expect.any(String), status: 500, detail: 'status 500' },
      pending_since: task.updated_at,
    })

    pass(4 * second)
    await send()
    expect(receiver.all).toHaveLength(1)
    pass(2 * second)
    await send()
    expect(receiver.titles()).toEqual(['a', 'a'])
    const [first, again] = receiver.all
    expect(again?.headers['webhook-id']).toBe(first?.headers['webhook-id'] ?? '')
    expect(again?.headers['webhook-timestamp']).not.toBe(first?.headers['webhook-timestamp'])

    receiver.behave(ok)
    pass(400 * second)
    await send()
    expect(receiver.titles()).toEqual(['a', 'a', 'a', 'b'])
    expect(await get()).toMatchObject({ pending_since: null, last_success_at: expect.any(String) })
    await receiver.stop()
  })

  test('gives each state of a task an id of its own, and knows since when it fails', async () => {
    const { receiver, ada, call, add, send } = await subscribed()
    const failingSince = async () => {
      const { db } = await database()
      const rows = await db.select().from(webhooks).where(eq(webhooks.user_id, ada.id))
      return rows[0]?.failing_since
    }
    receiver.behave(failing)
    const task = await add('a')
    await send()
    expect(await failingSince()).toBe(task.updated_at)
    pass(second)
    await call('PATCH', `/api/tasks/${task.id}`, { title: 'b' })
    pass(hour)
    await send()
    expect(receiver.titles()).toEqual(['a', 'b'])
    const ids = receiver.all.map(({ headers }) => headers['webhook-id'])
    expect(new Set(ids).size).toBe(2)
    // The oldest change that was not delivered.
    expect(await failingSince()).toBe(task.updated_at)
    receiver.behave(ok)
    pass(hour)
    await send()
    expect(await failingSince()).toBe(null)
    await receiver.stop()
  })

  test('that is down for a day misses nothing', async () => {
    const { receiver, add, send } = await subscribed()
    receiver.behave(failing)
    for (let n = 0; n < 24; n++) {
      await add(`${n}`)
      await send()
      pass(hour)
    }
    expect(new Set(receiver.titles())).toEqual(new Set(['0']))
    receiver.behave(ok)
    pass(20 * hour)
    await send()
    expect(receiver.titles().slice(-24)).toEqual(Array.from({ length: 24 }, (_, n) => `${n}`))
    await receiver.stop()
  })

  test('is disabled at the end of the schedule, with a mail, and continues when it is enabled again', async () => {
    const smtp = await startSmtp()
    const { receiver, here, ada, call, id, path, add, send, get } = await subscribed(smtp.env)
    receiver.behave(failing)
    const task = await add('a')
    for (let attempt = 0; attempt < 12; attempt++) {
      await send()
      pass(1.2 * day)
    }
    expect(receiver.all).toHaveLength(10)
    expect(await get()).toMatchObject({
      enabled: false,
      disabled_reason: 'failed',
      pending_since: task.updated_at,
    })
    // Other tests leave webhooks that fail too.
    const own = here.log.filter(
      ({ event, webhook_id }) => /disabled/.test(`${event}`) && webhook_id === id,
    )
    expect(own).toHaveLength(1)
    const { db } = await database()
    const mails = await db.select().from(mailMessages).where(eq(mailMessages.recipient, ada.email))
    expect(mails.map(({ template }) => template)).toEqual(['webhook-disabled'])
    await here.sendMail()
    expect(smtp.mailsTo(ada.email).map(({ raw }) => raw)).toEqual([
      expect.stringContaining('Subject: A webhook was disabled'),
    ])

    receiver.behave(ok)
    await add('b')
    await send()
    expect(receiver.all).toHaveLength(10)
    const { body } = await call('PATCH', path, { enabled: true })
    expect([body.enabled, body.disabled_reason]).toEqual([true, null])
    await send()
    expect(receiver.titles().slice(10)).toEqual(['a', 'b'])
    await receiver.stop()
    await smtp.stop()
  }, 30_000)

  test('whose receiver says 410 is disabled at once', async () => {
    const { receiver, add, send, get } = await subscribed()
    receiver.behave(() => new Response(null, { status: 410 }))
    await add('a')
    await send()
    pass(day)
    await send()
    expect(receiver.all).toHaveLength(1)
    expect(await get()).toMatchObject({ enabled: false, disabled_reason: 'gone' })
    await receiver.stop()
  })

  test('waits as long as the receiver asks for', async () => {
    const { receiver, add, send } = await subscribed()
    const retryAfter =
      (value: string): Behaviour =>
      () =>
        new Response(null, { status: 503, headers: { 'retry-after': value } })
    receiver.behave(retryAfter('120'))
    await add('a')
    await send()
    pass(119 * second)
    await send()
    expect(receiver.all).toHaveLength(1)
    receiver.behave(retryAfter(new Date(Date.now() + hour).toUTCString()))
    pass(second)
    await send()
    expect(receiver.all).toHaveLength(2)
    pass(hour - 5 * second)
    await send()
    expect(receiver.all).toHaveLength(2)
    receiver.behave(ok)
    pass(6 * second)
    await send()
    expect(receiver.all).toHaveLength(3)
    await receiver.stop()
  })

  test.each<[string, Behaviour, string]>([
    [
      'redirects',
      () => Response.redirect('http://127.0.0.1:1/', 302),
      'status 302: redirects are not followed',
    ],
    ['refuses', () => new Response(null, { status: 400 }), 'status 400'],
  ])('whose receiver %s has failed', async (_, behaviour, detail) => {
    const { receiver, add, send, get } = await subscribed()
    receiver.behave(behaviour)
    await add('a')
    await send()
    expect((await get()).last_failure.detail).toBe(detail)
    expect(receiver.all).toHaveLength(1)
    await receiver.stop()
  })

  test('without a receiver has failed, and the response shows nothing of the network', async () => {
    const { receiver, add, send, get } = await subscribed()
    await receiver.stop()
    await add('a')
    await send()
    expect((await get()).last_failure).toEqual({
      at: expect.any(String),
      status: null,
      detail: 'the connection was refused',
    })
  })

  test('whose receiver resets the connection has failed', async () => {
    const { receiver, call, path, add, send, get } = await subscribed()
    const resetting = Bun.listen({
      hostname: '127.0.0.1',
      port: 0,
      socket: { data: (socket) => socket.terminate() },
    })
    await call('PATCH', path, { url: `http://127.0.0.1:${resetting.port}/` })
    await add('a')
    await send()
    expect((await get()).last_failure).toMatchObject({ status: null })
    resetting.stop(true)
    await receiver.stop()
  })

  test('reads a part of an endless or huge response only', async () => {
    const { receiver, add, send } = await subscribed()
    let sent = 0
    receiver.behave(
      () =>
        new Response(
          new ReadableStream({
            pull(controller) {
              sent += 65_536
              controller.enqueue(new Uint8Array(65_536))
            },
          }),
        ),
    )
    await add('a')
    await send()
    expect(receiver.titles()).toEqual(['a'])
    expect(sent).toBeLessThan(20_000_000)
    await receiver.stop()
  })

  test('has a null description above 20 kB', async () => {
    const { receiver, call, send } = await subscribed()
    const long = { title: 'long', description: 'ä'.repeat(10_000) }
    await call('POST', '/api/tasks', long)
    await call('POST', '/api/tasks', { title: 'short', description: 'ä'.repeat(9000) })
    await send()
    const [first, second] = receiver.bodies()
    expect([first.truncated, first.data.title, first.data.description]).toEqual([
      true,
      'long',
      null,
    ])
    expect([second.truncated, second.data.description.length]).toEqual([undefined, 9000])
    await receiver.stop()
  })

  test('is signed with both secrets for a day after a change', async () => {
    const { receiver, call, path, add, send, secret } = await subscribed()
    const { body } = await call('POST', `${path}/secret`)
    expect(body.secret).not.toBe(secret)
    await add('a')
    await send()
    const [first] = receiver.all
    expect(first?.headers['webhook-signature']?.split(' ')).toHaveLength(2)
    verified(first!, secret)
    verified(first!, body.secret)
    pass(day)
    await add('b')
    await send()
    expect(receiver.all[1]?.headers['webhook-signature']?.split(' ')).toHaveLength(1)
    await receiver.stop()
  })

  test('sends a test at once, and returns what the receiver said', async () => {
    const { receiver, call, path, secret, id } = await subscribed()
    expect((await call('POST', `${path}/test`)).body).toEqual({ status: 204, ok: true })
    const [one] = receiver.all
    expect(verified(one!, secret)).toEqual({
      type: 'webhook.test',
      timestamp: expect.any(String),
      data: { webhook_id: id },
    })
    receiver.behave(failing)
    const failed = await call('POST', `${path}/test`)
    expect([failed.body, failed.text]).toEqual([
      { status: 500, ok: false },
      '{"status":500,"ok":false}',
    ])
    await receiver.stop()
    expect((await call('POST', `${path}/test`)).body).toEqual({ status: null, ok: false })
  })

  test('that is slow does not delay another', async () => {
    const { receiver, call, add, here, send } = await subscribed()
    const slow = Promise.withResolvers<Response>()
    receiver.behave(() => slow.promise)
    const quick = startReceiver()
    await call('POST', '/api/webhooks', { url: quick.url })
    await add('a')
    const sending = send()
    await quick.until(1)
    expect(quick.titles()).toEqual(['a'])
    slow.resolve(new Response())
    await sending
    expect(here.log.some(({ event }) => event === 'webhook delivery failed')).toBe(false)
    await Promise.all([receiver.stop(), quick.stop()])
  })

  test('that is changed, disabled or deleted during a delivery receives nothing more of it', async () => {
    const { receiver, call, path, add, send } = await subscribed()
    for (const change of [
      () => call('PATCH', path, { enabled: false }),
      () => call('DELETE', path),
    ]) {
      const slow = Promise.withResolvers<Response>()
      receiver.behave(() => slow.promise)
      await call('PATCH', path, { enabled: true })
      await add('a')
      await add('b')
      const before = receiver.all.length
      const sending = send()
      await receiver.until(before + 1)
      await change()
      slow.resolve(new Response())
      await sending
      expect(receiver.all).toHaveLength(before + 1)
    }
    await receiver.stop()
  })
})

describe('two instances', () => {
  test('deliver each change once, and one continues where the other died', async () => {
    const { receiver, here, add, send } = await subscribed()
    const other = await service({ WEBHOOK_ALLOWED_HOSTS: '127.0.0.1' })
    for (let n = 0; n < 5; n++) await add(`${n}`)
    await Promise.all([send(), other.sendWebhooks(), send(), other.sendWebhooks()])
    expect(receiver.titles()).toEqual(['0', '1', '2', '3', '4'])

    // Dies between the delivery and its bookkeeping: it never hears the response.
    const never = Promise.withResolvers<Response>()
    receiver.behave(() => never.promise)
    await add('5')
    await add('6')
    void send()
    await receiver.until(6)
    receiver.behave(ok)
    await other.sendWebhooks()
    expect(receiver.all).toHaveLength(6)
    pass(20 * second)
    await other.sendWebhooks()
    expect(receiver.titles().slice(5)).toEqual(['5', '5', '6'])
    expect(receiver.all[6]?.headers['webhook-id']).toBe(
      receiver.all[5]?.headers['webhook-id'] ?? '',
    )

    // It is not dead, and comes back: its claim is lost, so that it changes nothing.
    never.resolve(new Response())
    await Bun.sleep(50)
    await send()
    expect(receiver.all).toHaveLength(8)
    expect(here.log.some(({ level }) => level === 'error')).toBe(false)
    await receiver.stop()
  })
})

test('a disabled account receives nothing, and an erased one leaves nothing', async () => {
  const { receiver, ada, call, add, send } = await subscribed()
  await add('a')
  const { db } = await database()
  const { users } = await import('../../src/db/schema.ts')
  const set = (disabled_at: string | null) =>
    db.update(users).set({ disabled_at }).where(eq(users.id, ada.id))
  await set('2026-01-01T00:00:00.000Z')
  await send()
  expect(receiver.all).toHaveLength(0)
  await set(null)
  await send()
  expect(receiver.all).toHaveLength(1)
  await call('DELETE', '/api/auth/me', { current_password: ada.password })
  expect(await db.select().from(webhooks).where(eq(webhooks.user_id, ada.id))).toEqual([])
  await receiver.stop()
})
